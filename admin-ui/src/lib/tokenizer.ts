// What tokenizer_config.json says, in a form that can be shown. Strangers wrote the file: every part may be missing or
// of an unexpected type.

export interface TokenizerFacts {
  className: string;
  /** In tokens; 0: not given, or a number so large that it means "no limit". */
  maxLength: number;
  /** `BOS` → `<s>` and the like, in a fixed order. */
  special: [name: string, token: string][];
  /** Tokens that were added to the vocabulary, e.g. for roles and tools. */
  added: string[];
  /** Chat templates with their names; the default one has none. */
  templates: [name: string, text: string][];
}

const specials = [
  ["bos_token", "BOS"],
  ["eos_token", "EOS"],
  ["pad_token", "PAD"],
  ["unk_token", "UNK"],
  ["sep_token", "SEP"],
  ["cls_token", "CLS"],
  ["mask_token", "MASK"],
] as const;

type Raw = Record<string, unknown>;
const record = (value: unknown): Raw | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Raw) : undefined;

/** A token is a string, or an object with its text in `content`. */
function token(value: unknown): string {
  const text = typeof value === "string" ? value : record(value)?.content;
  return typeof text === "string" ? text : "";
}

export function tokenizerFacts(text: string): TokenizerFacts | undefined {
  let raw: Raw | undefined;
  try {
    raw = record(JSON.parse(text));
  } catch {
    return undefined;
  }
  if (!raw) return undefined;
  const maxLength = Number(raw.model_max_length ?? 0);
  const added = Object.values(record(raw.added_tokens_decoder) ?? {}).map(token);
  const extra = Array.isArray(raw.additional_special_tokens) ? raw.additional_special_tokens.map(token) : [];
  const template = raw.chat_template;
  return {
    className: typeof raw.tokenizer_class === "string" ? raw.tokenizer_class : "",
    maxLength: Number.isSafeInteger(maxLength) && maxLength > 0 ? maxLength : 0,
    special: specials
      .map(([key, name]): [string, string] => [name, token(raw?.[key])])
      .filter(([, value]) => value !== ""),
    added: [...new Set([...added, ...extra].filter(Boolean))],
    templates:
      typeof template === "string"
        ? [["", template]]
        : Array.isArray(template)
          ? template
              .map((one): [string, string] => [String(record(one)?.name ?? ""), String(record(one)?.template ?? "")])
              .filter(([, value]) => value !== "")
          : [],
  };
}
