// How much jobs may download at once, how fast and when.
import type { Settings } from "@/gen/modelhub/v1/system_pb";
import { bytes, parseBytes } from "@/lib/format";
import { Panel } from "../ui/panel";
import { SettingForm } from "./setting-form";

export const hoursPattern = /^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$/;

export function Downloads({ settings }: { settings: Settings }) {
  return (
    <Panel id="downloads" title="Downloads of jobs" note="clients that wait for a file are not held back">
      <div className="flex flex-col gap-5">
        <SettingForm
          label="At once"
          hint="Download jobs that run at the same time."
          value={String(settings.maxDownloads)}
          parse={(text) =>
            /^([1-9]|[1-5]\d|6[0-4])$/.test(text.trim())
              ? { maxDownloads: Number(text.trim()) }
              : "Write a number from 1 to 64."
          }
        />
        <SettingForm
          label="Speed limit"
          hint="Per second, of all jobs together. Empty: no limit."
          value={settings.downloadBytesPerSecond > 0n ? bytes(settings.downloadBytesPerSecond) : ""}
          placeholder="no limit"
          parse={(text) => {
            const size = text.trim() === "" ? 0n : parseBytes(text);
            return size === undefined ? "Write a size, like 80 MiB." : { downloadBytesPerSecond: size };
          }}
        />
        <SettingForm
          label="Opening hours"
          hint="When downloads of jobs may run, in the hub's local time, like 22:00-06:00. Empty: always."
          value={settings.downloadHours}
          placeholder="always"
          parse={(text) =>
            text.trim() === "" || hoursPattern.test(text.trim())
              ? { downloadHours: text.trim() }
              : "Write two times, like 22:00-06:00."
          }
        />
      </div>
    </Panel>
  );
}
