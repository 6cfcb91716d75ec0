// A choice of one of a few options, e.g. tree or flat list. Radio buttons underneath, so arrow keys work.
import { RadioGroup } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

interface Props<T extends string> {
  label: string;
  value: T;
  onChange: (value: T) => void;
  options: readonly { value: T; label: ReactNode; name?: string }[];
  className?: string;
}

export function Segmented<T extends string>({ label, value, onChange, options, className }: Props<T>) {
  return (
    <RadioGroup.Root
      aria-label={label}
      value={value}
      onValueChange={(next) => onChange(next as T)}
      orientation="horizontal"
      className={cn(
        "inline-flex h-8 shrink-0 items-stretch rounded-md border border-line-strong/70 bg-sunken p-0.5",
        className,
      )}
    >
      {options.map((option) => (
        <RadioGroup.Item
          key={option.value}
          value={option.value}
          aria-label={option.name}
          className="inline-flex items-center gap-1.5 rounded-[5px] px-2.5 text-sm text-soft hover:text-text data-[state=checked]:bg-raised data-[state=checked]:font-medium data-[state=checked]:text-text data-[state=checked]:shadow-[0_1px_2px_var(--c-shadow)]"
        >
          {option.label}
        </RadioGroup.Item>
      ))}
    </RadioGroup.Root>
  );
}
