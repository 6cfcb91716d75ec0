// The quarantine: files whose content did not match their hash, until somebody or time removes them.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { deleteQuarantinedFile, emptyQuarantine, useAction } from "@/api/actions";
import { quarantineQuery } from "@/api/queries";
import type { EmptyQuarantineResponse, QuarantinedFile } from "@/gen/modelhub/v1/hub_service_pb";
import { bytes, plural } from "@/lib/format";
import { modelSlug } from "@/lib/paths";
import { Button, IconButton } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { Panel } from "../ui/panel";
import { Failure, SkeletonLines } from "../ui/states";
import { Bytes, When } from "../ui/values";

/** Files that the panel shows; the command line lists more. */
const shown = 20;

const removed = (gone: EmptyQuarantineResponse) =>
  `Removed ${plural(gone.files, "quarantined file")}, ${bytes(gone.bytes)}`;

/** Shown only while something is in quarantine. */
export function Quarantine() {
  const query = useQuery(quarantineQuery());
  // The file that is about to be removed, or all of them.
  const [asked, setAsked] = useState<QuarantinedFile | "all">();
  const close = () => setAsked(undefined);
  const action = useAction({
    run: (what: QuarantinedFile | "all") => (what === "all" ? emptyQuarantine() : deleteQuarantinedFile(what.name)),
    done: removed,
    failed: "Could not remove it from quarantine",
    refresh: [["storage"], ["overview"]],
    after: close,
  });
  const data = query.data;
  return (
    <Panel
      flush
      className="mt-4"
      title="Quarantine"
      note={data && `${bytes(data.bytes)} in ${plural(data.total, "file")}`}
      actions={
        <Button
          small
          disabled={!data?.files.some((file) => file.contentHash !== "")}
          onClick={() => setAsked("all")}
          icon={<Trash2 className="size-3.5" aria-hidden />}
        >
          Empty
        </Button>
      }
    >
      <p className="px-4 pt-3 text-sm text-muted">
        The content of these files did not match their hash. They count towards the store limit, and are removed after
        14 days.
      </p>
      {query.isError && !data ? (
        <Failure error={query.error} retry={() => query.refetch()} />
      ) : !data ? (
        <SkeletonLines count={2} className="p-4" />
      ) : (
        <ul aria-label="Quarantined files" className="divide-y divide-line">
          {data.files.slice(0, shown).map((file) => (
            <Row key={file.name} file={file} onRemove={() => setAsked(file)} />
          ))}
          {data.total > BigInt(shown) && (
            <li className="px-4 py-2 text-xs text-muted">{plural(data.total - BigInt(shown), "more file")}</li>
          )}
        </ul>
      )}
      {asked && (
        <Confirm
          open
          onClose={close}
          title={asked === "all" ? "Empty the quarantine?" : "Remove this file from quarantine?"}
          action={asked === "all" ? "Empty" : "Remove"}
          busy={action.busy}
          onConfirm={() => action.go(asked)}
        >
          <p>
            Removes {asked === "all" ? "everything that the hub has put there" : asked.name}, for good. Stored files
            stay.
          </p>
        </Confirm>
      )}
    </Panel>
  );
}

function Row({ file, onRemove }: { file: QuarantinedFile; onRemove: () => void }) {
  const [named, ...others] = file.namedBy;
  const isForeign = file.contentHash === "";
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-0.5 px-4 py-2 text-sm">
      <span className="min-w-0 flex-1 basis-60">
        <span className="block truncate">
          {named ? (
            <>
              <Link
                to="/models/$"
                params={{ _splat: modelSlug({ kind: named.kind, repoId: named.repoId, id: named.modelId }) }}
                className="font-medium hover:text-accent hover:underline"
              >
                {named.repoId}
              </Link>{" "}
              {named.filePath}
              {others.length > 0 && <span className="text-muted"> and others</span>}
            </>
          ) : isForeign ? (
            <span className="text-muted">Not the hub’s: it is never removed</span>
          ) : (
            <span className="text-muted">No known file has this content</span>
          )}
        </span>
        <span className="block truncate font-mono text-xs text-muted" title={file.name}>
          {file.contentHash || file.name}
        </span>
      </span>
      <Bytes value={file.sizeBytes} />
      <When at={file.quarantinedAt} none="" className="w-28 text-right text-muted" />
      {isForeign ? (
        <span className="size-8" />
      ) : (
        <IconButton label={`Remove ${file.name}`} onClick={onRemove}>
          <Trash2 className="size-4" aria-hidden />
        </IconButton>
      )}
    </li>
  );
}
