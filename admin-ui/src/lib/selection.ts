// The choices of the download dialog, and the API's selection for them.

export type Preset = "all" | "safetensors" | "gguf";

export interface Choice {
  paths: readonly string[];
  preset: Preset;
  quantisation: string;
  /** Globs as typed. */
  include: string;
  exclude: string;
}

export const everything: Choice = { paths: [], preset: "all", quantisation: "", include: "", exclude: "" };

/** Splits typed globs at spaces, commas and line breaks. */
export function globs(text: string): string[] {
  return text.split(/[\s,]+/).filter(Boolean);
}

const presets = { all: 0, safetensors: 1, gguf: 2 } as const;

export function selectionOf(choice: Choice) {
  return {
    paths: [...choice.paths],
    include: globs(choice.include),
    exclude: globs(choice.exclude),
    preset: presets[choice.preset],
    quantisation: choice.preset === "gguf" ? choice.quantisation : "",
  };
}

export function hasPartOf(files: readonly { filePath: string }[], pattern: RegExp): boolean {
  return files.some((file) => pattern.test(file.filePath));
}
