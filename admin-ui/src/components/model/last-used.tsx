// The files of a model that were fetched or read most recently, each with a link.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ApiError } from "@/api/problem";
import { usesQuery } from "@/api/queries";
import type { Use } from "@/gen/modelhub/v1/hub_service_pb";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { cn } from "@/lib/cn";
import { baseName, folderOf, modelSlug, shortCommit } from "@/lib/paths";
import { ancestors } from "../files/rows";
import { Panel } from "../ui/panel";
import { Empty, Failure, Skeleton } from "../ui/states";
import { Bytes, When } from "../ui/values";

/** One line, or two where the window is narrow: path, then size and time. */
const line =
  "grid h-13 grid-cols-[minmax(0,1fr)_auto] content-center items-center gap-x-3 px-4 text-sm sm:h-[34px] sm:grid-cols-[minmax(0,1fr)_5rem_8rem]";

export function LastUsed({ model, revision }: { model: ModelRepo; revision: string }) {
  // A model that was never synced has no commit, so there is nothing to query.
  const known = revision !== "" || model.commit !== "";
  const query = useQuery({ ...usesQuery(model.id, revision), enabled: known });
  const unknown = !known || (query.error instanceof ApiError && query.error.isNotFound);
  const uses = unknown ? [] : query.data?.uses;
  const at = revision.length === 40 ? shortCommit(revision) : revision;
  return (
    <Panel title="Last used" note={at ? `at ${at}` : undefined} flush>
      {uses && uses.length > 0 ? (
        // About eight lines: the jobs below stay within reach.
        <ol aria-label="Recently used files" className="max-h-72 divide-y divide-line overflow-y-auto">
          {uses.map((use) => (
            <UseLine key={use.filePath} model={model} use={use} />
          ))}
        </ol>
      ) : uses ? (
        <Empty title="No files used yet" className="py-6">
          Files that are downloaded or read by clients appear here, most recent first.
        </Empty>
      ) : query.isError ? (
        <Failure error={query.error} retry={() => query.refetch()} />
      ) : (
        <Wait lines={Math.min(20, Number(model.filesHere) || 3)} />
      )}
    </Panel>
  );
}

function UseLine({ model, use }: { model: ModelRepo; use: Use }) {
  const folder = folderOf(use.filePath);
  const above = ancestors(use.filePath);
  return (
    <li className={line}>
      <Link
        to="/models/$"
        params={{ _splat: modelSlug(model) }}
        search={(old) => ({ rev: old.rev, open: above.length > 0 ? above : undefined, file: use.filePath })}
        title={use.filePath}
        className="min-w-0 truncate rounded -outline-offset-2 hover:text-accent hover:underline max-sm:col-span-2"
      >
        {folder && <span className="text-muted">{folder}/</span>}
        {baseName(use.filePath)}
      </Link>
      <Bytes value={use.sizeBytes} className="text-soft max-sm:text-xs sm:text-right" />
      <When at={use.usedAt} className="text-right text-muted max-sm:text-xs" />
    </li>
  );
}

/** As many lines as there will be, so that the jobs below do not jump. */
function Wait({ lines }: { lines: number }) {
  return (
    <div className="max-h-72 divide-y divide-line overflow-hidden" aria-busy>
      <span className="sr-only">Loading</span>
      {Array.from({ length: lines }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: placeholders have no identity.
        <div key={index} className={line}>
          <Skeleton className={cn("max-sm:col-span-2", index % 2 === 0 ? "w-1/2" : "w-1/3")} />
          <Skeleton className="h-3 w-14 sm:ml-auto" />
          <Skeleton className="ml-auto h-3 w-20" />
        </div>
      ))}
    </div>
  );
}
