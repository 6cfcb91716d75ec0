// Quantisations of GGUF files, as in their names: `Qwen3-8B-Q4_K_M.gguf` is Q4_K_M. Split files count together.

const pattern = /(?:^|[-._/])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|BF16|F16|F32|FP16|TQ\d_\d|MXFP4(?:_MOE)?))(?=[-._/]|$)/gi;

/** The quantisation of one file, or undefined. */
export function quantisationOf(path: string): string | undefined {
  if (!path.toLowerCase().endsWith(".gguf")) return undefined;
  let found: string | undefined;
  for (const match of path.slice(0, -5).matchAll(pattern)) found = match[1]?.toUpperCase();
  return found;
}

export interface Quantisation {
  name: string;
  files: number;
  bytes: number;
}

/** The quantisations among files, smallest first. Vision projectors (`mmproj`) are not offered on their own. */
export function quantisations(files: readonly { filePath: string; sizeBytes: bigint }[]): Quantisation[] {
  const found = new Map<string, Quantisation>();
  for (const file of files) {
    if (/(^|\/)mmproj/i.test(file.filePath)) continue;
    const name = quantisationOf(file.filePath);
    if (!name) continue;
    const one = found.get(name) ?? { name, files: 0, bytes: 0 };
    one.files += 1;
    one.bytes += Number(file.sizeBytes);
    found.set(name, one);
  }
  return [...found.values()].sort((a, b) => a.bytes - b.bytes);
}
