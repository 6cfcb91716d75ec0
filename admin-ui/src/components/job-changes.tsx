// What a sync found changed upstream.
import { type Change, Change_Kind, type Changes } from "@/gen/modelhub/v1/model_pb";
import { count, plural } from "@/lib/format";
import { shortCommit } from "@/lib/paths";
import { Badge, type Tone } from "./ui/badge";
import { Panel } from "./ui/panel";
import { Bytes } from "./ui/values";

const words: Record<Change_Kind, { word: string; tone: Tone }> = {
  [Change_Kind.KIND_UNSPECIFIED]: { word: "changed", tone: "neutral" },
  [Change_Kind.added]: { word: "added", tone: "good" },
  [Change_Kind.removed]: { word: "removed", tone: "bad" },
  [Change_Kind.changed]: { word: "changed", tone: "info" },
};

export function JobChanges({ changes }: { changes: Changes }) {
  const total = Number(changes.added + changes.removed + changes.changed);
  if (total === 0) return null;
  const hidden = total - changes.changes.length;
  return (
    <Panel
      title={`${plural(total, "change")} upstream`}
      note={
        changes.fromCommit
          ? `from ${shortCommit(changes.fromCommit)} to ${shortCommit(changes.toCommit)}`
          : `at ${shortCommit(changes.toCommit)}`
      }
      flush
    >
      <ul className="max-h-80 divide-y divide-line overflow-y-auto">
        {changes.changes.map((change: Change) => (
          <li key={change.filePath} className="flex items-center gap-3 px-4 py-1.5">
            <Badge tone={words[change.kind].tone} className="w-16 justify-center">
              {words[change.kind].word}
            </Badge>
            <span className="min-w-0 flex-1 truncate font-mono text-xs" title={change.filePath}>
              {change.filePath}
            </span>
            <Bytes value={change.sizeBytes} className="text-xs text-muted" />
          </li>
        ))}
        {hidden > 0 && <li className="px-4 py-2 text-muted">and {count(hidden)} more</li>}
      </ul>
    </Panel>
  );
}
