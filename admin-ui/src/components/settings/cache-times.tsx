// How long responses from upstream are reused. Read-only here: they are set in the configuration.
import type { CacheTimes as Times } from "@/gen/modelhub/v1/system_pb";
import { plural, span } from "@/lib/format";
import { Facts } from "../ui/panel";

const lines = [
  ["Public visibility", "visibilityTtlSeconds", "visibility_ttl", "for repositories that are requested only by commit"],
  ["Granted access", "accessTtlSeconds", "access_ttl", "for each token and private or gated repository"],
  ["Denied access", "accessDeniedTtlSeconds", "access_denied_ttl", "for each token and private or gated repository"],
  ["Listings and searches", "listingTtlSeconds", "listing_ttl", "and other responses that are passed through"],
  ["Offline grace", "offlineGraceSeconds", "offline_grace", "for accepted tokens while upstream is unreachable"],
] as const;

export function CacheTimes({ times }: { times: Times | undefined }) {
  return (
    <section aria-labelledby="cache-times">
      <h3 id="cache-times" className="text-sm font-medium">
        Cache lifetimes
      </h3>
      <p className="mt-1.5 text-xs text-muted">
        Set in the configuration under [cache]; changes apply after a restart.
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
