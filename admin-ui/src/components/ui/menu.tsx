// A menu behind a button. It does not lock the page, so nothing has to be styled from a script.
import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

export interface MenuItem {
  label: ReactNode;
  icon?: ReactNode;
  onSelect: () => void;
  danger?: boolean;
  disabled?: boolean;
  hint?: ReactNode;
}

interface Props {
  trigger: ReactNode;
  items: readonly (MenuItem | "line" | false)[];
  align?: "start" | "end";
  open?: boolean;
  onOpen?: (open: boolean) => void;
}

export function Menu({ trigger, items, align = "end", open, onOpen }: Props) {
  return (
    <DropdownMenu.Root modal={false} open={open} onOpenChange={onOpen}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align={align}
          sideOffset={4}
          collisionPadding={8}
          className="appear z-50 max-h-[70vh] min-w-44 overflow-y-auto rounded-md border border-line bg-raised p-1 shadow-pop"
        >
          {items.map((item, index) =>
            item === "line" ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: the items of a menu keep their places.
              <DropdownMenu.Separator key={index} className="-mx-1 my-1 h-px bg-line" />
            ) : item ? (
              <DropdownMenu.Item
                // biome-ignore lint/suspicious/noArrayIndexKey: as above.
                key={index}
                disabled={item.disabled}
                onSelect={item.onSelect}
                onClick={(event) => event.stopPropagation()}
                className={cn(
                  "flex min-h-8 cursor-pointer items-center gap-2.5 rounded px-2 py-1 text-sm outline-none select-none data-[disabled]:pointer-events-none data-[disabled]:opacity-50 data-[highlighted]:bg-hover [&_svg]:size-4 [&_svg]:text-muted",
                  item.danger && "text-bad [&_svg]:text-bad",
                )}
              >
                {item.icon}
                <span className="min-w-0 flex-1">{item.label}</span>
                {item.hint && <span className="text-xs text-muted">{item.hint}</span>}
              </DropdownMenu.Item>
            ) : null,
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
