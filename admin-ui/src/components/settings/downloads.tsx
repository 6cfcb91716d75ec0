// How many downloads run concurrently, how fast and when.
import type { Settings } from "@/gen/modelhub/v1/system_pb";
import { bytes, parseBytes } from "@/lib/format";
import { Panel } from "../ui/panel";
import { SettingForm } from "./setting-form";

export const hoursPattern = /^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$/;

export function Downloads({ settings }: { settings: Settings }) {
  return (
    <Panel id="downloads" title="Download jobs" note="client requests are not limited">
      <div className="flex flex-col gap-5">
        <SettingForm
          label="Concurrent downloads"
          hint="How many download jobs run at the same time."
          value={String(settings.maxDownloads)}
          parse={(text) =>
            /^([1-9]|[1-5]\d|6[0-4])$/.test(text.trim())
              ? { maxDownloads: Number(text.trim()) }
              : "Enter a number from 1 to 64."
          }
        />
        <SettingForm
          label="Speed limit"
          hint="Per second, for all jobs together. Empty: no limit."
          value={settings.downloadBytesPerSecond > 0n ? bytes(settings.downloadBytesPerSecond) : ""}
          placeholder="no limit"
          parse={(text) => {
            const size = text.trim() === "" ? 0n : parseBytes(text);
            return size === undefined ? "Enter a size, such as 80 MiB." : { downloadBytesPerSecond: size };
          }}
        />
        <SettingForm
          label="Download window"
          hint="When download jobs may run, in the hub's local time, such as 22:00-06:00. Empty: always."
          value={settings.downloadHours}
          placeholder="always"
          parse={(text) =>
            text.trim() === "" || hoursPattern.test(text.trim())
              ? { downloadHours: text.trim() }
              : "Enter a time range, such as 22:00-06:00."
          }
        />
      </div>
    </Panel>
  );
}
