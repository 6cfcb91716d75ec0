// The search and the filters of the models table.
import { Pin } from "lucide-react";
import { cn } from "@/lib/cn";
import type { ModelsSearch } from "@/lib/search";
import { buttonClass } from "./ui/button";
import { SearchField, Select } from "./ui/field";

interface Props {
  search: ModelsSearch;
  typed: string;
  onType: (text: string) => void;
  onChange: (part: Partial<ModelsSearch>) => void;
}

export function ModelsFilters({ search, typed, onType, onChange }: Props) {
  return (
    <div className="flex flex-wrap items-center gap-2">
      <SearchField label="Search by name" value={typed} onChange={onType} className="min-w-52 flex-1 sm:max-w-96" />
      <Select
        aria-label="Kind"
        value={search.kind ?? ""}
        onChange={(event) => onChange({ kind: (event.target.value || undefined) as ModelsSearch["kind"] })}
      >
        <option value="">All kinds</option>
        <option value="model">Models</option>
        <option value="dataset">Datasets</option>
        <option value="space">Spaces</option>
        <option value="kernel">Kernels</option>
      </Select>
      <Select
        aria-label="Status"
        value={
          search.status === "error" ? "error" : search.status === "registered" ? "registered" : (search.download ?? "")
        }
        onChange={(event) => {
          const value = event.target.value;
          const isState = value === "error" || value === "registered";
          onChange({
            status: isState ? value : undefined,
            download: isState || !value ? undefined : (value as ModelsSearch["download"]),
          });
        }}
      >
        <option value="">Any status</option>
        <option value="complete">Downloaded</option>
        <option value="partial">Partial</option>
        <option value="none">Not downloaded</option>
        <option value="registered">Registered</option>
        <option value="error">Error</option>
      </Select>
      <button
        type="button"
        aria-pressed={search.pinned === true}
        onClick={() => onChange({ pinned: search.pinned ? undefined : true })}
        className={cn(
          buttonClass("plain"),
          search.pinned && "border-accent bg-accent-soft text-accent hover:bg-accent-soft",
        )}
      >
        <Pin className="size-3.5" aria-hidden />
        Pinned
      </button>
      <Select
        aria-label="Sort by"
        className="lg:hidden"
        value={search.order ?? "name"}
        onChange={(event) =>
          onChange({ order: event.target.value === "name" ? undefined : (event.target.value as ModelsSearch["order"]) })
        }
      >
        <option value="name">Name</option>
        <option value="-size">Size on disk</option>
        <option value="-used">Last used</option>
        <option value="-created">Newest</option>
      </Select>
    </div>
  );
}
