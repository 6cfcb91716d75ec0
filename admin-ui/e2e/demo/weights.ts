// Weights for pictures: true heads, and behind them holes, which take no disk.
import { truncateSync, writeFileSync } from "node:fs";

export interface Tensor {
  name: string;
  shape: number[];
}

const bytesOf = (tensor: Tensor) => 2 * tensor.shape.reduce((product, one) => product * one, 1);

/** A safetensors file of 16-bit numbers. */
export function safetensors(path: string, tensors: readonly Tensor[], dtype: "BF16" | "F16" = "BF16") {
  let end = 0;
  const entries = tensors.map((tensor) => {
    const begin = end;
    end += bytesOf(tensor);
    return [tensor.name, { dtype, shape: tensor.shape, data_offsets: [begin, end] }] as const;
  });
  const text = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(head.length));
  writeFileSync(path, Buffer.concat([length, head]));
  truncateSync(path, 8 + head.length + end);
}

/** A GGUF file of a small Llama; `type` is what GGUF calls the mixture of its numbers. */
export function gguf(path: string, name: string, type: number, size: number) {
  const number = (value: number, bytes: 4 | 8) => {
    const out = Buffer.alloc(bytes);
    if (bytes === 4) out.writeUInt32LE(value);
    else out.writeBigUInt64LE(BigInt(value));
    return out;
  };
  const text = (value: string) => Buffer.concat([number(Buffer.byteLength(value), 8), Buffer.from(value)]);
  const facts: [string, string | number][] = [
    ["general.architecture", "llama"],
    ["general.name", name],
    ["general.file_type", type],
    ["llama.context_length", 32_768],
    ["llama.block_count", 16],
    ["llama.embedding_length", 2_048],
    ["llama.feed_forward_length", 8_192],
    ["llama.attention.head_count", 32],
    ["llama.attention.head_count_kv", 8],
  ];
  const pairs = facts.flatMap(([key, value]) =>
    typeof value === "string" ? [text(key), number(8, 4), text(value)] : [text(key), number(4, 4), number(value, 4)],
  );
  const tensor = [
    text("token_embd.weight"),
    number(2, 4),
    number(2_048, 8),
    number(32_768, 8),
    number(1, 4),
    number(0, 8),
  ];
  const head = [Buffer.from("GGUF"), number(3, 4), number(1, 8), number(facts.length, 8), ...pairs, ...tensor];
  writeFileSync(path, Buffer.concat(head));
  truncateSync(path, size);
}
