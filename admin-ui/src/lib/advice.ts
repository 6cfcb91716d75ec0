// What to do about an error, where a screen helps. The hub's own text says what happened; this says where to go next.

export interface Advice {
  text: string;
  label: string;
  to: "/settings" | "/storage" | "/models";
  search?: Record<string, string>;
  hash?: string;
}

const known: [RegExp, Advice][] = [
  [
    /\b(no space|disk is full|does not fit|(of|not enough) disk space|store('s)? limit|enospc)\b/i,
    {
      text: "Free disk space first.",
      label: "Free space",
      to: "/storage",
      search: { dialog: "evict" },
    },
  ],
  [
    /\b(offline)\b/i,
    {
      text: "The hub does not contact upstream in offline mode.",
      label: "Offline mode",
      to: "/settings",
      hash: "upstream",
    },
  ],
  [
    /\b(gated|40[13]|unauthori[sz]ed|forbidden|token|not found)\b/i,
    {
      text: "Gated and private repositories need the token of an account with access. Hugging Face reports a repository that the account cannot see as not found.",
      label: "Hugging Face token",
      to: "/settings",
      hash: "token",
    },
  ],
];

export function adviceOn(error: string): Advice | undefined {
  return known.find(([pattern]) => pattern.test(error))?.[1];
}
