// Dialogs: a form or a question above the page; and a side sheet for the menu on narrow screens.
import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";
import { Button, type ButtonLook, IconButton } from "./button";
import { useDialogFocus } from "./dialog-focus";

interface Props {
  open: boolean;
  onClose: () => void;
  title: ReactNode;
  description?: ReactNode;
  children: ReactNode;
  footer?: ReactNode;
  wide?: boolean;
}

export function Dialog({ open, onClose, title, description, children, footer, wide }: Props) {
  const focus = useDialogFocus();
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 grid grid-cols-[minmax(0,1fr)] place-items-start justify-items-center overflow-y-auto bg-shade p-3 pt-[max(0.75rem,8vh)]">
          <Radix.Content
            aria-describedby={undefined}
            {...focus}
            onInteractOutside={(event) => {
              // Toasts lie above the dialog and are no reason to close it.
              if (event.target instanceof Element && event.target.closest("[data-toasts]")) event.preventDefault();
            }}
            className={cn(
              "appear flex w-full flex-col rounded-lg border border-line bg-panel shadow-pop outline-none",
              wide ? "max-w-3xl" : "max-w-xl",
            )}
          >
            <header className="flex items-start gap-3 px-5 pt-4 pb-3">
              <div className="min-w-0 flex-1">
                <Radix.Title className="text-lg font-semibold tracking-tight">{title}</Radix.Title>
                {description && <div className="text-sm text-muted">{description}</div>}
              </div>
              <Radix.Close asChild>
                <IconButton label="Close" className="-mr-1.5">
                  <X className="size-4" aria-hidden />
                </IconButton>
              </Radix.Close>
            </header>
            <div className="px-5 pb-5">{children}</div>
            {footer && (
              <footer className="sticky -bottom-3 flex flex-wrap items-center justify-end gap-2 rounded-b-lg border-t border-line bg-panel px-5 py-3">
                {footer}
              </footer>
            )}
          </Radix.Content>
        </Radix.Overlay>
      </Radix.Portal>
    </Radix.Root>
  );
}

interface ConfirmProps {
  open: boolean;
  onClose: () => void;
  title: ReactNode;
  children: ReactNode;
  /** The verb on the button, e.g. "Remove 4.2 GiB". */
  action: string;
  /** The other button, where "Cancel" could be taken for the action. */
  refusal?: string;
  look?: ButtonLook;
  busy?: boolean;
  disabled?: boolean;
  onConfirm: () => void;
}

/** Asks before something that cannot be undone, and says what will happen. */
export function Confirm(props: ConfirmProps) {
  const {
    open,
    onClose,
    title,
    children,
    action,
    refusal = "Cancel",
    look = "danger",
    busy,
    disabled,
    onConfirm,
  } = props;
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={title}
      footer={
        <>
          <Button onClick={onClose}>{refusal}</Button>
          <Button look={look} busy={busy} disabled={disabled} onClick={onConfirm}>
            {action}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3 text-sm text-soft">{children}</div>
    </Dialog>
  );
}

export function Sheet({
  open,
  onClose,
  title,
  children,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
}) {
  const focus = useDialogFocus();
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-shade" />
        <Radix.Content
          aria-describedby={undefined}
          {...focus}
          className="fixed inset-y-0 left-0 z-40 flex w-64 max-w-[85vw] flex-col border-r border-line bg-canvas shadow-pop outline-none"
        >
          <Radix.Title className="sr-only">{title}</Radix.Title>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
