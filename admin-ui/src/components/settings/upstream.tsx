// Where models come from, and whether to contact it at all.
import { useQuery } from "@tanstack/react-query";
import { Switch } from "radix-ui";
import { useState } from "react";
import { overviewQuery } from "@/api/queries";
import type { Settings } from "@/gen/modelhub/v1/system_pb";
import { Dot, upstreamWords } from "../sidebar";
import { CopyButton } from "../ui/copy";
import { Confirm } from "../ui/dialog";
import { Facts, Panel } from "../ui/panel";
import { CacheTimes } from "./cache-times";
import { SettingForm } from "./setting-form";
import { useSettings } from "./use-settings";

export function UpstreamSettings({ settings }: { settings: Settings }) {
  const { data } = useQuery(overviewQuery());
  const action = useSettings();
  const [asking, setAsking] = useState(false);
  const words = data?.upstream && upstreamWords(data.upstream);
  return (
    <Panel id="upstream" title="Upstream">
      <div className="flex flex-col gap-5">
        <Facts
          items={[
            [
              "URL",
              <span key="u">
                {settings.upstreamUrl} <span className="text-muted">(set in the configuration)</span>
              </span>,
            ],
            // The row is there from the start, so that nothing below it moves.
            [
              "Status",
              <span key="s" className="flex items-center gap-2">
                <Dot className={words?.tone ?? "bg-muted"} />
                {words?.long ?? "Checking…"}
              </span>,
            ],
            [
              "Clients use",
              <span key="e" className="flex items-center gap-1">
                <span className="font-mono text-xs">HF_ENDPOINT={settings.endpoint}</span>
                <CopyButton
                  text={`export HF_ENDPOINT=${settings.endpoint}`}
                  label="Copy export command"
                  className="size-6"
                />
              </span>,
            ],
          ]}
        />
        <label className="flex items-start gap-3">
          <Switch.Root
            checked={settings.offline}
            onCheckedChange={(on) => (on ? setAsking(true) : action.go({ offline: false }))}
            disabled={action.busy}
            aria-label="Offline mode"
            className="mt-0.5 h-5 w-9 shrink-0 rounded-full border border-line-strong bg-sunken p-px transition-colors data-[state=checked]:border-accent data-[state=checked]:bg-accent"
          >
            <Switch.Thumb className="block size-4 rounded-full bg-muted transition-transform data-[state=checked]:translate-x-4 data-[state=checked]:bg-on-accent" />
          </Switch.Root>
          <span>
            <span className="block text-sm font-medium">Offline mode</span>
            <span className="block text-xs text-muted">
              Never contacts upstream. Cached files are served; everything else is not found.
            </span>
          </span>
        </label>
        <SettingForm
          label="Recheck branches after"
          hint="How long a resolved branch or tag is used before upstream is asked again. Commits never change and do not expire."
          value={String(settings.refTtlSeconds)}
          suffix="seconds"
          parse={(text) =>
            /^\d{1,6}$/.test(text.trim()) && Number(text) <= 604_800
              ? { refTtlSeconds: BigInt(text.trim()) }
              : "Enter a number of seconds, such as 60; at most 604800 (a week)."
          }
        />
        <CacheTimes times={settings.cacheTimes} />
      </div>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title="Go offline?"
        action="Go offline"
        look="primary"
        onConfirm={() => {
          setAsking(false);
          action.go({ offline: true });
        }}
      >
        <p>Clients only get files that are already cached. Downloads and syncs wait until you go back online.</p>
      </Confirm>
    </Panel>
  );
}
