// Navigation, with what is worth knowing on every screen: running jobs, the state of upstream, and whether what is
// shown is live.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Boxes, CircleHelp, Gauge, HardDrive, ListChecks, LogOut, Search, Settings2, WifiOff } from "lucide-react";
import type { ReactNode } from "react";
import { useConnection } from "@/api/events";
import { overviewQuery } from "@/api/queries";
import { adminToken, signOut } from "@/api/session";
import { type Upstream, Upstream_State } from "@/gen/modelhub/v1/system_pb";
import { cn } from "@/lib/cn";
import { useSlow } from "@/lib/hooks";
import { exact, toDate } from "@/lib/time";
import { Tip } from "./ui/tip";

export function Logo() {
  return (
    <Link to="/" className="flex items-center gap-2 rounded-md px-1 text-base font-semibold tracking-tight">
      <svg viewBox="0 0 32 32" className="size-5 text-accent" aria-hidden>
        <path d="M16 3 29 10 16 17 3 10z" fill="currentColor" />
        <path
          d="m3 16.5 13 7 13-7M3 23l13 7 13-7"
          fill="none"
          stroke="currentColor"
          strokeWidth="2.6"
          strokeLinejoin="round"
          strokeLinecap="round"
          opacity=".75"
        />
      </svg>
      modelhub
    </Link>
  );
}

const places = [
  { to: "/", label: "Dashboard", icon: Gauge },
  { to: "/models", label: "Models", icon: Boxes },
  { to: "/jobs", label: "Jobs", icon: ListChecks },
  { to: "/storage", label: "Storage", icon: HardDrive },
  { to: "/settings", label: "Settings", icon: Settings2 },
] as const;

export function Sidebar({ onSearch, onHelp }: { onSearch: () => void; onHelp: () => void }) {
  const { data } = useQuery(overviewQuery());
  const active = Number(data?.jobsActive ?? 0n) + Number(data?.jobsWaiting ?? 0n);
  return (
    <div className="flex h-full flex-col gap-3 p-3">
      <div className="flex h-8 items-center">
        <Logo />
      </div>
      <button
        type="button"
        onClick={onSearch}
        className="flex h-8 items-center gap-2 rounded-md border border-line-strong/70 bg-panel px-2.5 text-left text-sm text-muted hover:border-line-strong hover:text-text"
      >
        <Search className="size-3.5" aria-hidden />
        <span className="min-w-0 flex-1 truncate">Search or run a command…</span>
        <Key>Ctrl K</Key>
      </button>
      <nav aria-label="Main" className="flex flex-col gap-0.5">
        {places.map(({ to, label, icon: Icon }) => (
          <Link
            key={to}
            to={to}
            activeOptions={{ exact: to === "/", includeSearch: false }}
            className="group flex h-8 items-center gap-2.5 rounded-md px-2.5 text-sm text-soft hover:bg-hover hover:text-text aria-[current=page]:bg-hover aria-[current=page]:font-medium aria-[current=page]:text-text"
          >
            <Icon className="size-4 text-muted group-aria-[current=page]:text-accent" aria-hidden />
            <span className="flex-1">{label}</span>
            {to === "/jobs" && active > 0 && (
              <span className="tabular rounded-full bg-accent-soft px-1.5 text-xs font-medium text-accent">
                {active > 99 ? "99+" : active}
                <span className="sr-only"> active</span>
              </span>
            )}
          </Link>
        ))}
      </nav>
      <div className="mt-auto flex flex-col gap-2 px-1 text-xs text-muted">
        {data?.upstream ? <UpstreamLine upstream={data.upstream} /> : <span className="h-4" />}
        <div className="flex items-center justify-between">
          <ConnectionLine />
          {adminToken() && (
            <button type="button" onClick={signOut} className="flex items-center gap-1 rounded px-1 hover:text-text">
              <LogOut className="size-3.5" aria-hidden />
              Sign out
            </button>
          )}
        </div>
        <div className="flex items-center justify-between border-t border-line pt-2">
          <span className="tabular">{data?.version ? `Version ${data.version}` : "modelhub"}</span>
          <button type="button" onClick={onHelp} className="flex items-center gap-1 rounded px-1 hover:text-text">
            <CircleHelp className="size-3.5" aria-hidden />
            Shortcuts
          </button>
        </div>
      </div>
    </div>
  );
}

export const Key = ({ children }: { children: ReactNode }) => (
  <kbd className="rounded border border-line bg-sunken px-1 font-mono text-[0.6875rem] leading-4 text-muted">
    {children}
  </kbd>
);

export const Dot = ({ className, pulse }: { className: string; pulse?: boolean }) => (
  <span className={cn("inline-block size-2 shrink-0 rounded-full", className, pulse && "animate-pulse")} aria-hidden />
);

export function upstreamWords(upstream: Upstream): { tone: string; short: string; long: string } {
  const host = upstream.url.replace(/^https?:\/\//, "");
  const name = host === "huggingface.co" ? "Hugging Face" : host;
  switch (upstream.state) {
    case Upstream_State.ok:
      return { tone: "bg-good", short: `${name} reachable`, long: `${host} is responding.` };
    case Upstream_State.rate_limited: {
      const until = toDate(upstream.limitedUntil);
      return {
        tone: "bg-warn",
        short: `Rate limited by ${name}`,
        long: until ? `${host} asked the hub to wait until ${exact(until)}.` : `${host} asked the hub to wait.`,
      };
    }
    case Upstream_State.down:
      return {
        tone: "bg-bad",
        short: `${name} unreachable`,
        long: `${host} is not responding. Cached files are still served.`,
      };
    case Upstream_State.token_refused:
      return {
        tone: "bg-bad",
        short: `${name} refuses the hub's token`,
        long: `${host} refuses the hub's own token. Set a valid one, or none, in the settings.`,
      };
    case Upstream_State.offline:
      return { tone: "bg-info", short: "Offline mode", long: "Upstream is not contacted. Cached files are served." };
    default:
      return { tone: "bg-muted", short: `${name} not checked yet`, long: `${host} has not been contacted yet.` };
  }
}

function UpstreamLine({ upstream }: { upstream: Upstream }) {
  const words = upstreamWords(upstream);
  return (
    <Tip text={words.long}>
      <Link to="/settings" className="flex items-center gap-2 rounded hover:text-text">
        <Dot className={words.tone} />
        {words.short}
      </Link>
    </Tip>
  );
}

function ConnectionLine() {
  const connection = useConnection();
  const words = {
    live: "Live",
    connecting: "Connecting…",
    lost: "Disconnected",
    paused: "Paused (tab in background)",
  }[connection];
  const tone = connection === "live" ? "bg-good" : connection === "lost" ? "bg-bad" : "bg-muted";
  return (
    <span className="flex items-center gap-2" data-connection={connection}>
      <Dot className={tone} />
      {words}
    </span>
  );
}

/** Says, without moving anything away, that what is shown may be out of date. */
export function ConnectionBanner() {
  const lost = useSlow(useConnection() === "lost", 1_500);
  if (!lost) return null;
  return (
    <div
      role="status"
      className="flex items-center justify-center gap-2 border-b border-warn/30 bg-warn-soft px-4 py-1.5 text-sm text-warn"
    >
      <WifiOff className="size-4" aria-hidden />
      The hub is not responding. What you see may be out of date; the page reconnects automatically.
    </div>
  );
}
