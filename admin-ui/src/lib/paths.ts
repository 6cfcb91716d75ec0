// Names of models in addresses of this dashboard, and small helpers on file paths.

/** The address part of a model: `org/name`, and with its kind first where that is not a plain model. */
export function modelSlug(model: { kind: string; repoId: string }): string {
  const plain = model.kind === "model" || model.kind === "";
  // A model without a vendor (`gpt2`) would look like an id, so its kind is written.
  return plain && model.repoId.includes("/") ? model.repoId : `${model.kind || "model"}/${model.repoId}`;
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The folder of a path, empty at the root. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/** A commit or hash, short enough to compare by eye. */
export function shortCommit(commit: string): string {
  return commit.slice(0, 7);
}

/** Whether a viewer can show the file as text. */
export function isText(path: string): boolean {
  return (
    /\.(md|txt|json|jsonl|ya?ml|toml|py|js|ts|sh|cfg|ini|csv|tsv|xml|html|css|jinja|jinja2|model_card|gitattributes|gitignore|license)$/i.test(
      path,
    ) || /(^|\/)(LICENSE|NOTICE|README|USE_POLICY|\.gitattributes|\.gitignore)[^/]*$/i.test(path)
  );
}
