// Where the store is and how large it may get. Moving it is a matter of four steps, which a guide tells.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { FolderOutput } from "lucide-react";
import { lazy, Suspense } from "react";
import type { Settings } from "@/gen/modelhub/v1/system_pb";
import { bytes, parseBytes } from "@/lib/format";
import type { SettingsSearch } from "@/lib/search";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Facts, Panel } from "../ui/panel";
import { SettingForm } from "./setting-form";

const MoveDialog = lazy(() => import("./move-dialog").then((module) => ({ default: module.MoveDialog })));

export function StorageSettings({ settings }: { settings: Settings }) {
  const search = useSearch({ from: "/settings" });
  const navigate = useNavigate({ from: "/settings" });
  const change = (part: SettingsSearch) =>
    void navigate({ search: (old) => ({ ...old, ...part }), replace: part.move === undefined, resetScroll: false });
  return (
    <Panel id="storage" title="Storage">
      <div className="flex flex-col gap-5">
        <Facts
          items={[
            [
              "Folder",
              <span key="p" className="flex items-center gap-1">
                <span className="min-w-0 font-mono text-xs">{settings.storagePath}</span>
                <CopyButton text={settings.storagePath} label="Copy the folder" className="size-6" />
              </span>,
            ],
            [
              "",
              <span key="m" className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
                <Button
                  small
                  onClick={() => change({ move: true })}
                  icon={<FolderOutput className="size-3.5" aria-hidden />}
                >
                  Move the store…
                </Button>
                <span className="text-xs text-muted">It cannot change while the hub runs; a guide says how.</span>
              </span>,
            ],
          ]}
        />
        <SettingForm
          label="Limit of the store"
          hint="Downloads that would go beyond it are not begun. Nothing is removed by itself: free space under Storage. Empty: what the disk has."
          value={settings.storeLimitBytes > 0n ? bytes(settings.storeLimitBytes) : ""}
          placeholder="what the disk has"
          parse={(text) => {
            const size = text.trim() === "" ? 0n : parseBytes(text);
            return size === undefined ? "Write a size, like 2 TiB." : { storeLimitBytes: size };
          }}
        />
      </div>
      <Suspense>
        {search.move && (
          <MoveDialog
            settings={settings}
            folder={search.folder ?? ""}
            onFolder={(folder) => change({ folder: folder || undefined })}
            onClose={() => change({ move: undefined, folder: undefined })}
          />
        )}
      </Suspense>
    </Panel>
  );
}
