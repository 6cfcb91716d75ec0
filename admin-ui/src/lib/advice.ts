// What to do about an error, where the screen that helps is known. The hub's own words say what happened; this leads on.

export interface Advice {
  text: string;
  label: string;
  to: "/settings" | "/storage" | "/models";
  search?: Record<string, string>;
  hash?: string;
}

const known: [RegExp, Advice][] = [
  [
    /\b(no space|disk is full|disk space|store limit|enospc)\b/i,
    {
      text: "Room is needed on the disk first.",
      label: "Free space",
      to: "/storage",
      search: { dialog: "evict" },
    },
  ],
  [
    /\b(offline)\b/i,
    {
      text: "The hub does not ask upstream while it is offline.",
      label: "Offline switch",
      to: "/settings",
      hash: "upstream",
    },
  ],
  [
    /\b(gated|40[13]|unauthori[sz]ed|forbidden|token|not found)\b/i,
    {
      text: "For gated and private repositories the hub needs a token of an account that may read them. Upstream calls what an account may not see not found.",
      label: "Hub token",
      to: "/settings",
      hash: "token",
    },
  ],
];

export function adviceOn(error: string): Advice | undefined {
  return known.find(([pattern]) => pattern.test(error))?.[1];
}
