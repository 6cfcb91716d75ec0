// What the rows of the file list can request. One stable object, so that rows need not be rendered again.
import { useMemo, useRef } from "react";
import type { ModelArtifact } from "@/gen/modelhub/v1/model_pb";

export interface FileActions {
  toggleFolder: (entry: ModelArtifact) => void;
  enter: (entry: ModelArtifact) => void;
  open: (entry: ModelArtifact) => void;
  choose: (entry: ModelArtifact) => void;
  download: (entries: readonly ModelArtifact[]) => void;
  verify: (entries: readonly ModelArtifact[]) => void;
  remove: (entries: readonly ModelArtifact[]) => void;
}

/** The same object on every render, which calls the latest functions. */
export function useStableActions(actions: FileActions): FileActions {
  const latest = useRef(actions);
  latest.current = actions;
  return useMemo(
    () => ({
      toggleFolder: (entry) => latest.current.toggleFolder(entry),
      enter: (entry) => latest.current.enter(entry),
      open: (entry) => latest.current.open(entry),
      choose: (entry) => latest.current.choose(entry),
      download: (entries) => latest.current.download(entries),
      verify: (entries) => latest.current.verify(entries),
      remove: (entries) => latest.current.remove(entries),
    }),
    [],
  );
}
