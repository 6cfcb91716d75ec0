// What the store keeps of itself, each with where that was set. Read-only here: it is set in the configuration.
import type { ConfiguredSetting } from "@/gen/modelhub/v1/system_pb";
import { Facts } from "../ui/panel";

const names: Record<string, [name: string, nothing: string]> = {
  "store.keep_free": ["Leave free on the disk", "nothing"],
  "store.keep_used": ["Keep what was used within", "nothing"],
  "store.pin": ["Never remove", "no models but pinned ones"],
  "store.never": ["Never store", "no models"],
  "store.expire": ["Remove when unused", "no models"],
};

export function Keeping({ settings }: { settings: readonly ConfiguredSetting[] }) {
  if (settings.length === 0) return null;
  return (
    <section aria-labelledby="keeping">
      <h3 id="keeping" className="text-sm font-medium">
        What is kept
      </h3>
      <p className="mt-1.5 text-xs text-muted">
        Set in the configuration under [store]; changes apply after a restart.
      </p>
      <Facts
        className="mt-2"
        items={settings.map(({ key, values, source }) => {
          const [name, nothing] = names[key] ?? [key, "nothing"];
          const set = values.filter((value) => value !== "0");
          return [
            name,
            <span key={key}>
              <span title={key}>{set.length > 0 ? set.join(", ") : nothing}</span>
              {source && <span className="text-muted [overflow-wrap:anywhere]"> (set in {source})</span>}
            </span>,
          ];
        })}
      />
    </section>
  );
}
