// Recent activity, newest first, each entry with a link.
import { Link } from "@tanstack/react-router";
import {
  Activity as ActivityIcon,
  Boxes,
  CircleCheck,
  CircleSlash,
  CircleX,
  Download,
  Pin,
  Settings2,
  Trash2,
} from "lucide-react";
import type { Activity } from "@/gen/modelhub/v1/system_pb";
import { activityText } from "@/lib/words";
import { Empty } from "./ui/states";
import { When } from "./ui/values";

function iconOf(kind: string) {
  if (kind.endsWith("failed")) return <CircleX className="size-4 text-bad" aria-hidden />;
  if (kind.endsWith("completed")) return <CircleCheck className="size-4 text-good" aria-hidden />;
  if (kind.endsWith("cancelled")) return <CircleSlash className="size-4 text-muted" aria-hidden />;
  if (/pin/.test(kind)) return <Pin className="size-4 text-muted" aria-hidden />;
  if (/delet|evict|remov/.test(kind)) return <Trash2 className="size-4 text-muted" aria-hidden />;
  if (/download/.test(kind)) return <Download className="size-4 text-muted" aria-hidden />;
  if (/setting/.test(kind)) return <Settings2 className="size-4 text-muted" aria-hidden />;
  if (/model/.test(kind)) return <Boxes className="size-4 text-muted" aria-hidden />;
  return <ActivityIcon className="size-4 text-muted" aria-hidden />;
}

export function ActivityList({ items }: { items: readonly Activity[] }) {
  if (items.length === 0) return <Empty title="No activity yet">Changes and finished jobs appear here.</Empty>;
  return (
    <ol className="divide-y divide-line">
      {items.map((item, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: several things can happen at one time to one thing.
        <li key={`${item.at?.seconds}-${item.kind}-${index}`} className="flex items-start gap-2.5 px-4 py-2">
          <span className="mt-0.5">{iconOf(item.kind)}</span>
          <p className="min-w-0 flex-1 text-sm">
            {item.jobId ? (
              <Link to="/jobs/$id" params={{ id: item.jobId }} className="hover:text-accent hover:underline">
                {activityText(item.text)}
              </Link>
            ) : item.repoId ? (
              <Link to="/models" search={{ q: item.repoId }} className="hover:text-accent hover:underline">
                {activityText(item.text)}
              </Link>
            ) : (
              activityText(item.text)
            )}
          </p>
          <When at={item.at} className="shrink-0 text-xs leading-5 text-muted" />
        </li>
      ))}
    </ol>
  );
}
