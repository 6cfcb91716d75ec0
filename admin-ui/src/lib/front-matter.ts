// The front matter of a model card: YAML between two lines of dashes. Only its plain fields and lists are read, which is what
// cards have; anything deeper is left out.

export interface Card {
  fields: [string, string][];
  body: string;
}

export function splitFrontMatter(text: string): Card {
  const match = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)\r?\n---[ \t]*(?:\r?\n|$)/.exec(text);
  if (!match) return { fields: [], body: text };
  return { fields: fieldsOf(match[1] ?? ""), body: text.slice(match[0].length) };
}

const unquote = (value: string) => value.trim().replace(/^(["'])(.*)\1$/, "$2");

function fieldsOf(yaml: string): [string, string][] {
  const fields: [string, string][] = [];
  let name: string | undefined;
  let items: string[] = [];
  const finish = () => {
    if (name && items.length > 0) fields.push([name, items.join(", ")]);
    name = undefined;
    items = [];
  };
  for (const line of yaml.split(/\r?\n/)) {
    const item = /^\s*-\s+([^:]+)$/.exec(line);
    if (item && name) {
      items.push(unquote(item[1] ?? ""));
      continue;
    }
    const field = /^([A-Za-z_][\w-]*):\s*(.*)$/.exec(line);
    if (!field) continue;
    finish();
    const value = (field[2] ?? "").trim();
    name = field[1];
    if (value.startsWith("[") && value.endsWith("]"))
      items = value.slice(1, -1).split(",").map(unquote).filter(Boolean);
    else if (value && value !== "|" && value !== ">" && !value.startsWith("{")) items = [unquote(value)];
  }
  finish();
  return fields;
}
