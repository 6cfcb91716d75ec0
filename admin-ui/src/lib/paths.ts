// Names of models in addresses of this dashboard, and small helpers on file paths.

/**
 * The address part of a model: `org/name` or `gpt2`, and prefixed with its kind if it is not a model. A dataset
 * without an owner would read as a model `dataset/name`, so its id is used if that is known.
 */
export function modelSlug(model: { kind: string; repoId: string; id?: string }): string {
  if (model.kind === "model" || model.kind === "") return model.repoId;
  if (!model.repoId.includes("/") && model.id) return model.id;
  return `${model.kind}/${model.repoId}`;
}

/** The name in a row of the storage table: without the kind for models, as everywhere. */
export const usageName = (name: string) => name.replace(/^model\//, "");

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The last two parts of a path: enough to tell files of the same name apart. */
export function shortPath(path: string): string {
  return path.split("/").slice(-2).join("/");
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

/** Whether the file can be shown as text. */
export function isText(path: string): boolean {
  return (
    /\.(md|txt|json|jsonl|ya?ml|toml|py|js|ts|sh|cfg|ini|csv|tsv|xml|html|css|jinja|jinja2|model_card|gitattributes|gitignore|license)$/i.test(
      path,
    ) || /(^|\/)(LICENSE|NOTICE|README|USE_POLICY|\.gitattributes|\.gitignore)[^/]*$/i.test(path)
  );
}
