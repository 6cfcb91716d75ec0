// What the lines of the file list can ask for. One stable object, so that lines need not be drawn anew.
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

/** The same object on every drawing, which calls the newest functions. */
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
