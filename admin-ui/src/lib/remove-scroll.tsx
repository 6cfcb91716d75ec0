// Stands in for the package react-remove-scroll, which Radix's dialogs use and which writes a <style> element; the
// page's content security policy refuses those. Locking the page's own scrolling through the element's style is enough.
import { Slot } from "radix-ui";
import { type ComponentProps, type ElementType, useLayoutEffect } from "react";

let locks = 0;

interface Props extends ComponentProps<"div"> {
  as?: ElementType;
  enabled?: boolean;
  allowPinchZoom?: boolean;
  shards?: unknown[];
}

export function RemoveScroll({ as, enabled = true, allowPinchZoom: _pinch, shards: _shards, ...props }: Props) {
  useLayoutEffect(() => {
    if (!enabled) return;
    const root = document.documentElement;
    if (locks === 0) {
      const gap = window.innerWidth - root.clientWidth;
      root.style.overflow = "hidden";
      if (gap > 0) root.style.paddingRight = `${gap}px`;
    }
    locks += 1;
    return () => {
      locks -= 1;
      if (locks > 0) return;
      root.style.overflow = "";
      root.style.paddingRight = "";
    };
  }, [enabled]);
  const Element = as ?? Slot.Root;
  return <Element {...props} />;
}
