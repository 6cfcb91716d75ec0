// Paging through a list.
import { ChevronLeft, ChevronRight } from "lucide-react";
import { Button } from "./ui/button";

export function Pager({
  page,
  pages,
  note,
  onPage,
}: {
  page: number;
  pages: number;
  note: string;
  onPage: (page: number) => void;
}) {
  if (pages <= 1) return null;
  return (
    <nav aria-label="Pagination" className="tabular mt-3 flex flex-wrap items-center gap-2 text-sm text-muted">
      <span className="flex-1">{note}</span>
      <Button
        small
        disabled={page <= 1}
        onClick={() => onPage(page - 1)}
        icon={<ChevronLeft className="size-3.5" aria-hidden />}
      >
        Previous
      </Button>
      <span>
        Page {page} of {pages}
      </span>
      <Button small disabled={page >= pages} onClick={() => onPage(page + 1)}>
        Next
        <ChevronRight className="size-3.5" aria-hidden />
      </Button>
    </nav>
  );
}
