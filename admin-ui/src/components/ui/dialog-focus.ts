// Where the keyboard goes when a dialog opens and when it closes: into the dialog, and back to what opened it. Radix gives
// the focus back to a trigger of its own, and our dialogs open by the address, from menus and by shortcuts.
import { useEffect, useRef } from "react";

/** What floats above the page, and is gone when it closes. */
const floating = "[role=dialog],[role=alertdialog],[role=menu]";

/** The element of the page that had the focus last. */
let last: HTMLElement | undefined;

/** Remembers where the focus is on the page; the frame of every screen calls it. */
export function useFocusMemory() {
  useEffect(() => {
    const remember = ({ target }: FocusEvent) => {
      if (target instanceof HTMLElement && !target.closest(floating)) last = target;
    };
    document.addEventListener("focusin", remember);
    return () => document.removeEventListener("focusin", remember);
  }, []);
}

/** The first field that can be seen, else the dialog itself: never a button that a stray Enter would press. */
function focusInside(content: HTMLElement) {
  const fields = content.querySelectorAll<HTMLElement>(
    "input:not([type=checkbox]):not(:disabled), select:not(:disabled), textarea:not(:disabled)",
  );
  const field = [...fields].find((one) => !one.closest("details:not([open])"));
  (field ?? content).focus();
}

/** For Radix's `Dialog.Content`: focus inside when it opens, and back to what opened it when it closes. */
export function useDialogFocus() {
  const opener = useRef<HTMLElement>(undefined);
  return {
    onOpenAutoFocus: (event: Event) => {
      event.preventDefault();
      opener.current = last;
      focusInside(event.currentTarget as HTMLElement);
    },
    onCloseAutoFocus: (event: Event) => {
      event.preventDefault();
      // One dialog led to another: that one has the focus, and gives it back.
      if (document.querySelector("[role=dialog]")) return;
      // What opened it may be gone with the row or the screen that it was on.
      const back = opener.current?.isConnected ? opener.current : document.getElementById("content");
      back?.focus({ preventScroll: true });
    },
  };
}
