// Buttons: one primary per view, quiet ones for the rest, red only where something is removed.
import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/lib/cn";
import { Tip } from "./tip";

export type ButtonLook = "primary" | "plain" | "quiet" | "danger";

const looks: Record<ButtonLook, string> = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong border-transparent",
  plain: "bg-panel text-text border-line-strong/70 hover:bg-hover",
  quiet: "bg-transparent text-soft border-transparent hover:bg-hover hover:text-text",
  danger: "bg-panel text-bad border-bad/40 hover:bg-bad-soft",
};

export function buttonClass(look: ButtonLook = "plain", small = false) {
  return cn(
    "inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md border font-medium whitespace-nowrap select-none transition-colors",
    "disabled:opacity-55 disabled:pointer-events-none aria-disabled:opacity-55 aria-disabled:pointer-events-none",
    small ? "h-7 px-2 text-xs" : "h-8 px-3 text-sm",
    looks[look],
  );
}

interface Props extends ComponentProps<"button"> {
  look?: ButtonLook;
  small?: boolean;
  icon?: ReactNode;
  /** Shows that work is in progress; clicks are ignored meanwhile. */
  busy?: boolean;
}

export function Button({ look, small, icon, busy, className, children, onClick, ...props }: Props) {
  return (
    <button
      type="button"
      className={cn(buttonClass(look, small), className)}
      // Not `disabled`, which would take the focus away from whoever has just pressed it.
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      onClick={busy ? (event) => event.preventDefault() : onClick}
      {...props}
    >
      {icon}
      {children}
    </button>
  );
}

interface IconProps extends ComponentProps<"button"> {
  /** What it does; read out and shown on hover. */
  label: string;
  look?: ButtonLook;
}

/** A square button with only an icon. */
export function IconButton({ label, look = "quiet", className, children, ...props }: IconProps) {
  return (
    <Tip text={label}>
      <button
        type="button"
        aria-label={label}
        className={cn(buttonClass(look, true), "size-7 px-0", className)}
        {...props}
      >
        {children}
      </button>
    </Tip>
  );
}
