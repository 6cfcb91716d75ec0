// The open folders of a tree, each with the pages of it that are loaded. Every folder is its own query, so that opening
// one loads only that one; a huge folder is loaded page by page as it comes into view.
import {
  type InfiniteData,
  InfiniteQueryObserver,
  type InfiniteQueryObserverResult,
  type QueryClient,
  useQueryClient,
} from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { filesQuery } from "@/api/queries";
import type { ListFilesResponse } from "@/gen/modelhub/v1/hub_service_pb";

export type FolderResult = InfiniteQueryObserverResult<InfiniteData<ListFilesResponse, string>, Error>;
export type Folders = ReadonlyMap<string, FolderResult>;

class FolderStore {
  private readonly observers = new Map<string, { stop: () => void; read: () => FolderResult }>();
  private readonly listeners = new Set<() => void>();
  private snapshot: Folders = new Map();
  private announced = false;

  constructor(
    private readonly client: QueryClient,
    private readonly model: string,
    private readonly revision: string,
  ) {}

  /** Starts loading newly opened folders and drops closed ones. */
  show(paths: readonly string[]) {
    const wanted = new Set(paths);
    for (const [path, one] of this.observers) {
      if (wanted.has(path)) continue;
      one.stop();
      this.observers.delete(path);
    }
    for (const path of wanted) {
      if (this.observers.has(path)) continue;
      const observer = new InfiniteQueryObserver(this.client, filesQuery(this.model, this.revision, { path }));
      const read = () => observer.getCurrentResult() as FolderResult;
      this.observers.set(path, { read, stop: observer.subscribe(() => this.changed()) });
    }
    this.changed();
  }

  /** Many folders may change at once; there is one new snapshot for all of them. */
  private changed() {
    if (this.announced) return;
    this.announced = true;
    queueMicrotask(() => {
      this.announced = false;
      this.snapshot = new Map([...this.observers].map(([path, one]) => [path, one.read()]));
      for (const listener of this.listeners) listener();
    });
  }

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };
  read = () => this.snapshot;
  stop() {
    for (const one of this.observers.values()) one.stop();
    this.observers.clear();
  }
}

/** What is known about the folders `paths` of a model. */
export function useFolders(model: string, revision: string, paths: readonly string[]): Folders {
  const client = useQueryClient();
  const [store, setStore] = useState<FolderStore>();
  useEffect(() => {
    const made = new FolderStore(client, model, revision);
    setStore(made);
    return () => made.stop();
  }, [client, model, revision]);
  const key = JSON.stringify(paths);
  useEffect(() => store?.show(JSON.parse(key) as string[]), [store, key]);
  return useSyncExternalStore(
    (listener) => store?.subscribe(listener) ?? (() => {}),
    () => store?.read() ?? none,
  );
}

const none: Folders = new Map();
