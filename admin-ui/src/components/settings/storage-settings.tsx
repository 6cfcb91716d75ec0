// Where the store is and how large it may get. Moving it is a matter of four steps, which are told.
import type { Settings } from "@/gen/modelhub/v1/system_pb";
import { bytes, parseBytes } from "@/lib/format";
import { CodeBlock, CopyButton } from "../ui/copy";
import { Facts, Panel } from "../ui/panel";
import { SettingForm } from "./setting-form";

export function StorageSettings({ settings }: { settings: Settings }) {
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
          ]}
        />
        <details className="rounded-md border border-line bg-sunken px-3 py-2">
          <summary className="rounded text-sm text-soft hover:text-text">
            Move the store to another folder or disk
          </summary>
          <div className="mt-3 flex flex-col gap-3 text-sm text-soft">
            <p>
              The folder cannot change while the hub runs: files are being read and written in it. Nothing is downloaded
              again if you move it like this.
            </p>
            <ol className="list-decimal space-y-1 pl-5">
              <li>Pause running jobs, then stop the hub.</li>
              <li>Copy the folder with everything in it, and keep the old one until the end.</li>
              <li>Start the hub with the new folder.</li>
              <li>Verify the store here under Storage, then delete the old folder.</li>
            </ol>
            <CodeBlock
              text={`rsync -aHS --info=progress2 ${settings.storagePath}/ /new/place/\nMODELHUB_DATA_DIR=/new/place modelhub serve`}
            />
          </div>
        </details>
        <SettingForm
          label="Limit of the store"
          hint="When it is reached, what was not used for longest is removed; pinned models stay. Empty: what the disk has."
          value={settings.storeLimitBytes > 0n ? bytes(settings.storeLimitBytes) : ""}
          placeholder="what the disk has"
          parse={(text) => {
            const size = text.trim() === "" ? 0n : parseBytes(text);
            return size === undefined ? "Write a size, like 2 TiB." : { storeLimitBytes: size };
          }}
        />
      </div>
    </Panel>
  );
}
