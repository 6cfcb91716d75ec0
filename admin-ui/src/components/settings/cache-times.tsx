// How long answers of upstream hold. Shown only: the configuration has them.
import type { CacheTimes as Times } from "@/gen/modelhub/v1/system_pb";
import { plural, span } from "@/lib/format";
import { Facts } from "../ui/panel";

const lines = [
  [
    "Known as public",
    "visibilityTtlSeconds",
    "visibility_ttl",
    "for a repository of which only pinned commits are asked for",
  ],
  [
    "Access granted",
    "accessTtlSeconds",
    "access_ttl",
    "for upstream's yes to a token on a private or gated repository",
  ],
  ["Access refused", "accessDeniedTtlSeconds", "access_denied_ttl", "for its no"],
  ["Lists and searches", "listingTtlSeconds", "listing_ttl", "and so for other answers that are passed through"],
  ["Upstream away", "offlineGraceSeconds", "offline_grace", "in which a token that it accepted before still counts"],
] as const;

export function CacheTimes({ times }: { times: Times | undefined }) {
  return (
    <section aria-labelledby="cache-times">
      <h3 id="cache-times" className="text-sm font-medium">
        Other times
      </h3>
      <p className="mt-1.5 text-xs text-muted">
        They are changed in the configuration, under [cache], and count from the next start.
      </p>
      {times && (
        <Facts
          className="mt-2"
          items={lines.map(([name, key, setting, words]) => [
            name,
            <span key={key}>
              <span className="tabular whitespace-nowrap" title={`${setting}: ${plural(times[key], "second")}`}>
                {span(times[key])}
              </span>
              <span className="text-muted">, {words}</span>
            </span>,
          ])}
        />
      )}
    </section>
  );
}
