// JSON for people: names and values in rows, with collapsible lists and objects.
import { cn } from "@/lib/cn";
import { count, plural } from "@/lib/format";

export function JsonView({ value }: { value: unknown }) {
  if (!isRecord(value)) return <Value value={value} />;
  return <Entries value={value} />;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function Entries({ value }: { value: Record<string, unknown> }) {
  return (
    <dl className="grid grid-cols-[minmax(6rem,16rem)_minmax(0,1fr)] gap-x-4 text-sm">
      {Object.entries(value).map(([key, one]) => (
        <div key={key} className="contents [&>*]:border-b [&>*]:border-line/60 [&:last-child>*]:border-b-0">
          <dt className="py-1.5 text-muted">{key.replaceAll("_", "_\u200b")}</dt>
          <dd className="min-w-0 py-1.5">
            <Value value={one} name={key} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

const isPlain = (value: unknown) => typeof value !== "object" || value === null;

function Value({ value, name }: { value: unknown; name?: string }) {
  if (value === null) return <span className="text-muted">not set</span>;
  if (typeof value === "boolean") return <span>{value ? "yes" : "no"}</span>;
  if (typeof value === "number") {
    // IDs and the like are names made of digits: no thousands separators.
    const plain = !Number.isInteger(value) || (name !== undefined && /(_id|_ids|version|year)$/.test(name));
    return <span className="tabular">{plain ? String(value) : count(value)}</span>;
  }
  if (typeof value === "string") {
    if (value.length > 160 || value.includes("\n")) {
      return (
        <details>
          <summary className="w-fit rounded text-muted hover:text-text">
            {plural(value.length, "character")} of text
          </summary>
          <pre
            tabIndex={0}
            className="mt-1.5 max-h-80 overflow-auto rounded-md border border-line bg-sunken p-2 font-mono text-xs whitespace-pre-wrap"
          >
            {value}
          </pre>
        </details>
      );
    }
    return <span className={cn(value === "" && "text-muted")}>{value === "" ? "empty" : value}</span>;
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return <span className="text-muted">none</span>;
    if (value.every(isPlain) && value.length <= 12)
      return <span className="tabular">{value.map(String).join(", ")}</span>;
    return (
      <details>
        <summary className="w-fit rounded text-muted hover:text-text">
          {plural(value.length, "entry", "entries")}
        </summary>
        <ol className="mt-1 flex flex-col gap-1 border-l border-line pl-3">
          {value.slice(0, 200).map((one, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the place in the list is its name.
            <li key={index}>
              <Value value={one} />
            </li>
          ))}
          {value.length > 200 && <li className="text-muted">and {count(value.length - 200)} more; see the raw file</li>}
        </ol>
      </details>
    );
  }
  if (isRecord(value)) {
    const size = Object.keys(value).length;
    if (size === 0) return <span className="text-muted">empty</span>;
    if (size > 400) return <span className="text-muted">{plural(size, "entry", "entries")}; see the raw file</span>;
    return (
      <details open={size <= 8}>
        <summary className="w-fit rounded text-muted hover:text-text">{plural(size, "entry", "entries")}</summary>
        <div className="mt-1 border-l border-line pl-3">
          <Entries value={value} />
        </div>
      </details>
    );
  }
  return <span>{String(value)}</span>;
}
