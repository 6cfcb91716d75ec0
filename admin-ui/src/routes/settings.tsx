// What can be changed while the hub is running, what cannot and why, and the workers.
import { useQuery } from "@tanstack/react-query";
import { useRouterState } from "@tanstack/react-router";
import { useEffect } from "react";
import { settingsQuery, systemQuery } from "@/api/queries";
import { Appearance } from "@/components/settings/appearance";
import { Downloads } from "@/components/settings/downloads";
import { Machine } from "@/components/settings/machine";
import { StorageSettings } from "@/components/settings/storage-settings";
import { TokenSettings } from "@/components/settings/token";
import { UpstreamSettings } from "@/components/settings/upstream";
import { Workers } from "@/components/settings/workers";
import { PageHead } from "@/components/ui/panel";
import { Failure, SkeletonLines } from "@/components/ui/states";
import { useSlow, useTitle } from "@/lib/hooks";

const sections = [
  ["upstream", "Upstream"],
  ["token", "Hugging Face token"],
  ["downloads", "Downloads"],
  ["storage", "Storage"],
  ["workers", "Workers"],
  ["machine", "This machine"],
  ["appearance", "Appearance"],
] as const;

export function SettingsPage() {
  useTitle("Settings");
  const { data, isPending, isError, error, refetch } = useQuery(settingsQuery());
  const system = useQuery(systemQuery());
  const slow = useSlow(isPending);
  const there = data !== undefined;
  const hash = useRouterState({ select: (state) => state.location.hash });
  // Addresses may name a section, which is not there before the settings are.
  useEffect(() => {
    if (there && hash) document.getElementById(hash)?.scrollIntoView();
  }, [there, hash]);
  return (
    <>
      <PageHead title="Settings" note="Changes apply immediately, without a restart, unless noted otherwise." />
      {isError && !data ? (
        <Failure error={error} retry={() => refetch()} className="py-24" />
      ) : !data ? (
        slow && <SkeletonLines count={10} />
      ) : (
        <div className="grid items-start gap-x-10 lg:grid-cols-[10rem_minmax(0,46rem)]">
          <nav aria-label="Sections" className="sticky top-5 hidden flex-col gap-0.5 lg:flex">
            {sections.map(([id, name]) => (
              <a
                key={id}
                href={`#${id}`}
                className="rounded-md px-2.5 py-1.5 text-sm text-soft hover:bg-hover hover:text-text"
              >
                {name}
              </a>
            ))}
          </nav>
          <div className="flex min-w-0 flex-col gap-4">
            <UpstreamSettings settings={data} />
            <TokenSettings settings={data} />
            <Downloads settings={data} />
            <StorageSettings settings={data} />
            <Workers system={system.data} />
            <Machine system={system.data} database={data.database} />
            <Appearance />
          </div>
        </div>
      )}
    </>
  );
}
