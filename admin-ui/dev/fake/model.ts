// What a model of the fake hub is made of.
import { hash, hex } from "./random.ts";

export interface FakeFile {
  path: string;
  size: number;
  here: number;
  verified?: number;
}
export interface FakeModel {
  id: string;
  kind: string;
  repoId: string;
  status: "registered" | "synced" | "error";
  problem: string;
  visibility: string;
  pinned: boolean;
  registered?: number;
  created: number;
  synced?: number;
  used?: number;
  every: number;
  files: () => FakeFile[];
  summary: { files: number; filesHere: number; bytes: number; bytesHere: number };
  facts?: Record<string, unknown>;
  card?: string;
  config?: Record<string, unknown>;
  license?: string;
}

export const GiB = 1024 ** 3;
export const MiB = 1024 ** 2;
export const day = 86_400_000;
export const start = Date.now();

export const fileType = (path: string) => {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (/^(safetensors|gguf|bin|pt|pth|ckpt|onnx|h5|msgpack|ot)$/.test(ending)) return "model";
  if (/tokenizer|vocab|merges|special_tokens|added_tokens/.test(path)) return "tokenizer";
  if (/^(parquet|arrow|jsonl|csv)$/.test(ending)) return "dataset";
  if (ending === "json" || ending === "yaml") return "config";
  if (/^(py|ipynb|sh)$/.test(ending)) return "code";
  if (/^(png|jpg|jpeg|mp4|gif|webp|wav)$/.test(ending)) return "media";
  if (/^(md|txt|pdf)$/.test(ending) || /LICENSE/.test(path)) return "document";
  return "other";
};

export const runsCode = (path: string) => /\.(bin|pt|pth|ckpt|pkl)$/.test(path);

export function make(
  kind: string,
  repoId: string,
  files: [string, number, number?][] | (() => FakeFile[]),
  more: Partial<FakeModel> = {},
): FakeModel {
  let list: FakeFile[] | undefined;
  const load = () => {
    list ??= Array.isArray(files)
      ? files.map(([path, size, part = 0]) => ({
          path,
          size: Math.round(size),
          here: Math.round(size * part),
          verified: part === 1 ? start - (hash(path) % 20) * day : undefined,
        }))
      : files();
    return list;
  };
  const summarise = () => {
    const all = load();
    return {
      files: all.length,
      filesHere: all.filter((file) => file.here >= file.size).length,
      bytes: all.reduce((sum, file) => sum + file.size, 0),
      bytesHere: all.reduce((sum, file) => sum + file.here, 0),
    };
  };
  return {
    id: `0193${hex(kind + repoId, 4)}-${hex(repoId, 4)}-7${hex(`a${repoId}`, 3)}-9${hex(`b${repoId}`, 3)}-${hex(`c${repoId}`, 12)}`,
    kind,
    repoId,
    status: "synced",
    problem: "",
    visibility: "public",
    pinned: false,
    registered: start - 12 * day,
    created: start - 12 * day,
    synced: start - 3 * 3_600_000,
    used: start - 2 * 3_600_000,
    every: 0,
    files: load,
    get summary() {
      return summarise();
    },
    ...more,
  };
}
