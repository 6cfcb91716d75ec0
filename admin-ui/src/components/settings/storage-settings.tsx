// Where the store is and how large it may grow. Moving it takes a few steps, which a guide explains.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { FolderOutput } from "lucide-react";
import { lazy, Suspense } from "react";
import type { Settings } from "@/gen/modelhub/v1/system_pb";
import { bytes, parseBytes } from "@/lib/format";
import type { SettingsSearch } from "@/lib/search";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Facts, Panel } from "../ui/panel";
import { Keeping } from "./keeping";
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
                <CopyButton text={settings.storagePath} label="Copy path" className="size-6" />
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
                <span className="text-xs text-muted">
                  Cannot be changed while the hub is running; the guide explains how.
                </span>
              </span>,
            ],
          ]}
        />
        <SettingForm
          label="Store limit"
          hint="Before it is exceeded, what clients have not used for longest is removed: nothing that is pinned, needed now, or cannot be downloaded again. Empty: no limit, and nothing is removed."
          value={settings.storeLimitBytes > 0n ? bytes(settings.storeLimitBytes) : ""}
          placeholder="no limit"
          parse={(text) => {
            const size = text.trim() === "" ? 0n : parseBytes(text);
            return size === undefined ? "Enter a size, such as 2 TiB." : { storeLimitBytes: size };
          }}
        />
        <Keeping settings={settings.keeping} />
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
