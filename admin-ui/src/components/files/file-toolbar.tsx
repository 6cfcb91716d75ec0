// Above the file list: search, filters, tree or flat list, and the folder that is the root.
import { ChevronRight, FolderTree, List } from "lucide-react";
import { fileTypes, type ModelSearch } from "@/lib/search";
import { SearchField, Select } from "../ui/field";
import { Segmented } from "../ui/segmented";
import { typeWord } from "./file-row";

interface Props {
  search: ModelSearch;
  typed: string;
  flat: boolean;
  root: string;
  note: string | undefined;
  onType: (text: string) => void;
  onChange: (part: Partial<ModelSearch>, replace?: boolean) => void;
}

export function FileToolbar({ search, typed, flat, root, note, onType, onChange }: Props) {
  const filtered = Boolean(search.q || search.type || search.here);
  return (
    <div className="flex flex-wrap items-center gap-2 border-b border-line p-3">
      <SearchField label="Search paths" value={typed} onChange={onType} className="min-w-48 flex-1 sm:max-w-80" />
      <Select
        aria-label="File type"
        value={search.type ?? ""}
        onChange={(event) => onChange({ type: (event.target.value || undefined) as ModelSearch["type"] })}
      >
        <option value="">All types</option>
        {fileTypes.map((type) => (
          <option key={type} value={type}>
            {typeWord(type)}
          </option>
        ))}
      </Select>
      <Select
        aria-label="Location"
        value={search.here ?? ""}
        onChange={(event) => onChange({ here: (event.target.value || undefined) as ModelSearch["here"] })}
      >
        <option value="">Local and remote</option>
        <option value="completed">Local</option>
        <option value="pending">Remote</option>
      </Select>
      {note && <span className="tabular text-xs text-muted">{note}</span>}
      <span
        className="ml-auto"
        title={filtered ? "Searches and filters cover all folders, so the list is flat" : undefined}
      >
        <Segmented
          label="View"
          value={flat ? "flat" : "tree"}
          onChange={(view) => {
            if (view === "flat") onChange({ view: "flat" });
            else {
              onType("");
              onChange({ view: undefined, q: undefined, type: undefined, here: undefined });
            }
          }}
          options={[
            { value: "tree", label: <FolderTree className="size-4" aria-hidden />, name: "Tree" },
            { value: "flat", label: <List className="size-4" aria-hidden />, name: "Flat list" },
          ]}
        />
      </span>
      {root && <Crumbs path={root} onGo={(path) => onChange({ path: path || undefined, open: undefined }, false)} />}
    </div>
  );
}

function Crumbs({ path, onGo }: { path: string; onGo: (path: string) => void }) {
  const parts = path.split("/");
  return (
    <nav aria-label="Folder" className="flex basis-full flex-wrap items-center gap-1 text-sm">
      <button type="button" className="rounded px-1 text-accent hover:underline" onClick={() => onGo("")}>
        All files
      </button>
      {parts.map((part, index) => (
        <span key={parts.slice(0, index + 1).join("/")} className="flex items-center gap-1">
          <ChevronRight className="size-3.5 text-muted" aria-hidden />
          {index === parts.length - 1 ? (
            <span aria-current="page" className="px-1 font-medium">
              {part}
            </span>
          ) : (
            <button
              type="button"
              className="rounded px-1 text-accent hover:underline"
              onClick={() => onGo(parts.slice(0, index + 1).join("/"))}
            >
              {part}
            </button>
          )}
        </span>
      ))}
    </nav>
  );
}
