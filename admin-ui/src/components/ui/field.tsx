// Form fields: text, select and check box, each with its label, and a hint or a problem below.
import { ChevronDown, Search, X } from "lucide-react";
import { type ComponentProps, type ReactNode, type Ref, useId } from "react";
import { cn } from "@/lib/cn";

export const fieldClass =
  "h-8 w-full min-w-0 rounded-md border border-line-strong/70 bg-panel px-2.5 text-text outline-offset-0 hover:border-line-strong disabled:bg-sunken disabled:text-muted";

interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  problem?: ReactNode;
  className?: string;
  children: (ids: {
    id: string;
    "aria-describedby": string | undefined;
    "aria-invalid": boolean | undefined;
  }) => ReactNode;
}

/** Label, field, and below it a hint or a problem. */
export function Field({ label, hint, problem, className, children }: FieldProps) {
  const id = useId();
  const below = problem ?? hint;
  return (
    <div className={cn("flex min-w-0 flex-col gap-1.5", className)}>
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children({
        id,
        "aria-describedby": below ? `${id}-below` : undefined,
        "aria-invalid": problem ? true : undefined,
      })}
      {below && (
        <p id={`${id}-below`} className={cn("text-xs", problem ? "text-bad" : "text-muted")}>
          {below}
        </p>
      )}
    </div>
  );
}

export const Input = ({ className, ...props }: ComponentProps<"input">) => (
  <input type="text" className={cn(fieldClass, "text-sm", className)} {...props} />
);

/** The native select: it works with every keyboard, screen reader and phone. */
export function Select({ className, ...props }: ComponentProps<"select">) {
  return (
    <span className={cn("relative inline-flex h-8 max-w-full min-w-0 text-sm", className)}>
      <select className={cn(fieldClass, "h-full appearance-none truncate pr-8")} {...props} />
      <ChevronDown
        className="pointer-events-none absolute top-1/2 right-2.5 size-3.5 -translate-y-1/2 text-muted"
        aria-hidden
      />
    </span>
  );
}

interface SearchProps extends Omit<ComponentProps<"input">, "onChange"> {
  value: string;
  onChange: (value: string) => void;
  label: string;
  ref?: Ref<HTMLInputElement>;
}

/** A search field; Escape clears it. The shortcut `/` focuses the element with `data-search`. */
export function SearchField({ value, onChange, label, className, ...props }: SearchProps) {
  return (
    <div className={cn("relative min-w-0", className)}>
      <Search className="pointer-events-none absolute top-2 left-2.5 size-4 text-muted" aria-hidden />
      <input
        type="text"
        inputMode="search"
        aria-label={label}
        placeholder={label}
        data-search
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && value) {
            event.stopPropagation();
            onChange("");
          }
        }}
        className={cn(fieldClass, "pr-8 pl-8 text-sm")}
        spellCheck={false}
        autoComplete="off"
        {...props}
      />
      {value && (
        <button
          type="button"
          aria-label="Clear search"
          className="absolute top-1 right-1 grid size-6 place-items-center rounded text-muted hover:bg-hover hover:text-text"
          onClick={() => onChange("")}
        >
          <X className="size-3.5" aria-hidden />
        </button>
      )}
    </div>
  );
}

interface CheckProps {
  checked: boolean | "indeterminate";
  onChange: (checked: boolean) => void;
  label: string;
  /** Shows the label next to the box. */
  visible?: boolean;
  disabled?: boolean;
  tabIndex?: number;
}

/** A native check box with our styles: there may be many, so nothing heavier. */
export function CheckBox({ checked, onChange, label, visible, disabled, tabIndex }: CheckProps) {
  const box = (
    <input
      type="checkbox"
      className="check"
      aria-label={visible ? undefined : label}
      checked={checked === true}
      disabled={disabled}
      tabIndex={tabIndex}
      ref={(element) => {
        if (element) element.indeterminate = checked === "indeterminate";
      }}
      onClick={(event) => event.stopPropagation()}
      onChange={(event) => onChange(event.target.checked)}
    />
  );
  if (!visible) return box;
  return (
    <label className="flex items-center gap-2">
      {box}
      {label}
    </label>
  );
}
