// Warns, next to the model's name, that some of its files can run code when loaded.
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { TriangleAlert } from "lucide-react";
import { filesQuery } from "@/api/queries";
import type { ModelArtifact, ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { plural } from "@/lib/format";
import { modelSlug } from "@/lib/paths";
import { Tip } from "../ui/tip";

export function PickleNote({ model, revision }: { model: ModelRepo; revision: string }) {
  // The same query as that of the tensor list, so it is sent once.
  const { data } = useInfiniteQuery({
    ...filesQuery(model.id, revision, { flat: true, file_type: "model" }),
    enabled: model.files > 0n,
  });
  const words = pickleWords(data?.pages.flatMap((page) => page.files) ?? []);
  if (!words) return null;
  return (
    <Tip text={words.long}>
      <Link
        to="/models/$"
        params={{ _splat: modelSlug(model) }}
        search={(old) => ({ rev: old.rev, type: "model" as const, view: "flat" as const })}
        className="inline-flex items-center gap-1 rounded text-warn hover:underline"
      >
        <TriangleAlert className="size-3.5" aria-hidden />
        {words.short}
      </Link>
    </Tip>
  );
}

export function pickleWords(
  files: readonly Pick<ModelArtifact, "filePath" | "canRunCode">[],
): { short: string; long: string } | undefined {
  const pickles = files.filter((file) => file.canRunCode).length;
  if (pickles === 0) return undefined;
  const safe = files.some((file) => /\.(safetensors|gguf)$/i.test(file.filePath));
  return {
    short: `${plural(pickles, "pickle file")} can run code`,
    long: safe
      ? "Pickle files can run code when loaded. This model also has its weights in a safe format: use that instead."
      : "Pickle files can run code when loaded. Load them only if you trust the authors.",
  };
}
