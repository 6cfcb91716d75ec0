// Short explanations on hover and focus. An element carries its text as `data-tip`; one layer shows the text of
// whatever is pointed at, so a long list costs nothing.
import { cloneElement, type ReactElement, useEffect, useState } from "react";
import { createPortal } from "react-dom";

export function Tip({ text, children }: { text: string | undefined; children: ReactElement<{ "data-tip"?: string }> }) {
  return text ? cloneElement(children, { "data-tip": text }) : children;
}

interface Shown {
  text: string;
  left: number;
  top: number;
  above: boolean;
}

const wait = 350;

export function TipLayer() {
  const [shown, setShown] = useState<Shown>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let on: Element | null = null;
    const hide = () => {
      clearTimeout(timer);
      on = null;
      setShown(undefined);
    };
    const show = (element: Element) => {
      const text = element.getAttribute("data-tip");
      if (!text || !element.isConnected) return;
      const box = element.getBoundingClientRect();
      const above = box.bottom > window.innerHeight - 80;
      const center = Math.min(window.innerWidth - 16, Math.max(16, box.left + box.width / 2));
      setShown({ text, left: center, top: above ? box.top - 6 : box.bottom + 6, above });
    };
    const over = (event: Event) => {
      if (event instanceof PointerEvent && event.pointerType === "touch") return;
      const element = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
      if (element === on) return;
      hide();
      if (!element) return;
      if (event.type === "focusin" && !element.matches(":focus-visible")) return;
      on = element;
      timer = setTimeout(() => show(element), event.type === "focusin" ? 0 : wait);
    };
    const key = (event: KeyboardEvent) => event.key === "Escape" && hide();
    document.addEventListener("pointerover", over);
    document.addEventListener("focusin", over);
    document.addEventListener("focusout", hide);
    document.addEventListener("pointerdown", hide);
    document.addEventListener("keydown", key);
    window.addEventListener("scroll", hide, { passive: true, capture: true });
    return () => {
      hide();
      document.removeEventListener("pointerover", over);
      document.removeEventListener("focusin", over);
      document.removeEventListener("focusout", hide);
      document.removeEventListener("pointerdown", hide);
      document.removeEventListener("keydown", key);
      window.removeEventListener("scroll", hide, { capture: true });
    };
  }, []);
  if (!shown) return null;
  return createPortal(
    <div
      role="tooltip"
      className="pointer-events-none fixed z-50 w-max max-w-[min(20rem,90vw)] rounded-md bg-text px-2 py-1 text-xs text-canvas shadow-pop"
      ref={(element) => {
        if (!element) return;
        // Centred on its element, and pushed back into the window where it would stick out.
        const half = element.offsetWidth / 2;
        const left = Math.min(window.innerWidth - 8 - half, Math.max(8 + half, shown.left));
        element.style.left = `${left - half}px`;
        element.style.top = `${shown.above ? shown.top - element.offsetHeight : shown.top}px`;
      }}
    >
      {shown.text}
    </div>,
    document.body,
  );
}
