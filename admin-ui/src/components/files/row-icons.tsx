// The icons of the file list. They are in the page once and rows refer to them, because thousands of rows come and go
// while somebody scrolls, and an icon of its own for each is what costs most of the time.
import {
  ChevronRight,
  Download,
  Ellipsis,
  File,
  FileCode2,
  FileCog,
  FileText,
  Film,
  Folder,
  FolderOpen,
  type LucideIcon,
  Package,
  TriangleAlert,
  Type,
} from "lucide-react";

const icons = {
  chevron: ChevronRight,
  download: Download,
  more: Ellipsis,
  file: File,
  code: FileCode2,
  config: FileCog,
  text: FileText,
  media: Film,
  folder: Folder,
  "folder-open": FolderOpen,
  package: Package,
  warning: TriangleAlert,
  tokenizer: Type,
} satisfies Record<string, LucideIcon>;

export type RowIconName = keyof typeof icons;

/** Rendered once, above the rows. */
export function RowIcons() {
  return (
    <svg className="absolute size-0" aria-hidden>
      {Object.entries(icons).map(([name, Icon]) => (
        <symbol key={name} id={`row-${name}`} viewBox="0 0 24 24">
          <Icon size={24} />
        </symbol>
      ))}
    </svg>
  );
}

export function RowIcon({ name, className, label }: { name: RowIconName; className: string; label?: string }) {
  return (
    <svg
      className={className}
      aria-hidden={label ? undefined : true}
      role={label ? "img" : undefined}
      aria-label={label}
    >
      <use href={`#row-${name}`} />
    </svg>
  );
}
