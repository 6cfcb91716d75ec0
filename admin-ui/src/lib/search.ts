// What each screen keeps in its address. Everything is optional, unknown values are dropped, and defaults are left out,
// so that addresses stay short and old ones keep working.

type Raw = Record<string, unknown>;

const text = (raw: Raw, key: string): string | undefined => {
  const value = raw[key];
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
};

const oneOf = <T extends string>(raw: Raw, key: string, values: readonly T[]): T | undefined =>
  values.find((value) => value === raw[key]);

const flag = (raw: Raw, key: string): true | undefined => (raw[key] === true || raw[key] === "true" ? true : undefined);

const page = (raw: Raw): number | undefined => {
  const value = Number(raw.page);
  return Number.isInteger(value) && value > 1 ? value : undefined;
};

const list = (raw: Raw, key: string): string[] | undefined => {
  const value = raw[key];
  const all = (Array.isArray(value) ? value : value === undefined ? [] : [value]).filter(
    (one): one is string => typeof one === "string" && one !== "",
  );
  return all.length > 0 ? all : undefined;
};

/** Leaves out what is not set, so that it does not appear in the address. */
function tidy<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}

export const modelKinds = ["model", "dataset", "space", "kernel"] as const;
export const modelStates = ["registered", "synced", "error"] as const;
export const downloadStates = ["none", "partial", "complete"] as const;
export const modelOrders = ["name", "-name", "size", "-size", "used", "-used", "created", "-created"] as const;

export interface ModelsSearch {
  q?: string;
  kind?: (typeof modelKinds)[number];
  status?: (typeof modelStates)[number];
  download?: (typeof downloadStates)[number];
  pinned?: true;
  order?: (typeof modelOrders)[number];
  page?: number;
  /** The register dialog is open, with this in its field. */
  register?: string;
}

export const modelsSearch = (raw: Raw): ModelsSearch =>
  tidy({
    q: text(raw, "q"),
    kind: oneOf(raw, "kind", modelKinds),
    status: oneOf(raw, "status", modelStates),
    download: oneOf(raw, "download", downloadStates),
    pinned: flag(raw, "pinned"),
    order: oneOf(raw, "order", modelOrders),
    page: page(raw),
    register: typeof raw.register === "string" ? raw.register : raw.register === true ? "" : undefined,
  });

export const modelTabs = ["files", "metadata", "card", "activity"] as const;
export const metadataParts = ["overview", "config", "tensors"] as const;
export const downloadPresets = ["safetensors", "gguf"] as const;
export const fileTypes = ["model", "config", "tokenizer", "dataset", "code", "media", "document", "other"] as const;

export interface ModelSearch {
  tab?: (typeof modelTabs)[number];
  rev?: string;
  view?: "flat";
  /** The folder at the root of the tree. */
  path?: string;
  /** Folders that are open in the tree. */
  open?: string[];
  q?: string;
  type?: (typeof fileTypes)[number];
  here?: "completed" | "pending";
  /** The file being viewed. */
  file?: string;
  part?: (typeof metadataParts)[number];
  /** A config file in its raw form. */
  raw?: true;
  /** Part of the names of tensors. */
  find?: string;
  /** The download dialog is open. */
  download?: true;
  /** What is selected in it. */
  preset?: (typeof downloadPresets)[number];
  quant?: string;
  /** Files and folders that the dialog is about; everything if absent. */
  pick?: string[];
}

export const modelSearch = (raw: Raw): ModelSearch =>
  tidy({
    tab: oneOf(raw, "tab", modelTabs),
    rev: text(raw, "rev"),
    view: oneOf(raw, "view", ["flat"] as const),
    path: text(raw, "path"),
    open: list(raw, "open"),
    q: text(raw, "q"),
    type: oneOf(raw, "type", fileTypes),
    here: oneOf(raw, "here", ["completed", "pending"] as const),
    file: text(raw, "file"),
    part: oneOf(raw, "part", metadataParts),
    raw: flag(raw, "raw"),
    find: text(raw, "find"),
    download: flag(raw, "download"),
    preset: oneOf(raw, "preset", downloadPresets),
    quant: text(raw, "quant"),
    pick: list(raw, "pick"),
  });

export const jobStates = ["completed", "failed", "cancelled"] as const;
export const jobKinds = ["sync", "download", "scan", "verify", "evict"] as const;
export const jobTimes = ["hour", "day", "week", "month"] as const;

export interface JobsSearch {
  q?: string;
  status?: (typeof jobStates)[number];
  kind?: (typeof jobKinds)[number];
  model?: string;
  since?: (typeof jobTimes)[number];
}

export const jobsSearch = (raw: Raw): JobsSearch =>
  tidy({
    q: text(raw, "q"),
    status: oneOf(raw, "status", jobStates),
    kind: oneOf(raw, "kind", jobKinds),
    model: text(raw, "model"),
    since: oneOf(raw, "since", jobTimes),
  });

/** Days; 0 is any time. */
export const unusedDays = ["0", "1", "7", "30", "90"] as const;
export const usualUnused = "30";
export const storageOrders = ["size", "own", "used", "name"] as const;

export interface StorageSearch {
  q?: string;
  order?: (typeof storageOrders)[number];
  pinned?: true;
  /** The open dialog. */
  dialog?: "evict" | "import" | "verify";
  folder?: string;
  /** The fields of the dialog for freeing space: how much, as typed, and unused for how many days, usually 30. */
  free?: string;
  unused?: (typeof unusedDays)[number];
}

export const storageSearch = (raw: Raw): StorageSearch =>
  tidy({
    q: text(raw, "q"),
    order: oneOf(raw, "order", storageOrders),
    pinned: flag(raw, "pinned"),
    dialog: oneOf(raw, "dialog", ["evict", "import", "verify"] as const),
    folder: text(raw, "folder"),
    free: text(raw, "free"),
    unused: oneOf({ unused: text(raw, "unused") }, "unused", unusedDays),
  });

export const connectPlaces = ["shell", "python", "docker", "systemd"] as const;

export interface DashboardSearch {
  /** The dialog that explains how to point tools at the hub is open. */
  connect?: true;
  place?: (typeof connectPlaces)[number];
}

export const dashboardSearch = (raw: Raw): DashboardSearch =>
  tidy({ connect: flag(raw, "connect"), place: oneOf(raw, "place", connectPlaces) });

export interface SettingsSearch {
  /** The guide to moving the store is open, with the folder that it is about. */
  move?: true;
  folder?: string;
}

export const settingsSearch = (raw: Raw): SettingsSearch =>
  tidy({ move: flag(raw, "move"), folder: text(raw, "folder") });
