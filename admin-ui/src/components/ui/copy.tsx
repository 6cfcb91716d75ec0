// Text to copy: a code block or a short value with a button.
import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { cn } from "@/lib/cn";
import { IconButton } from "./button";
import { toast } from "./toast";

/** Copies, also where the page has no secure origin and the Clipboard API is unavailable. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

interface Props {
  /** What to copy, or how to get it. */
  text: string | (() => Promise<string>);
  label?: string;
  className?: string;
}

export function CopyButton({ text, label = "Copy", className }: Props) {
  const [done, setDone] = useState(false);
  return (
    <IconButton
      label={done ? "Copied" : label}
      className={className}
      onClick={async (event) => {
        event.stopPropagation();
        if (await copy(typeof text === "string" ? text : await text())) {
          setDone(true);
          setTimeout(() => setDone(false), 1_500);
        } else
          toast.error({ text: "Could not copy", detail: "The browser does not allow this page to use the clipboard." });
      }}
    >
      {done ? <Check className="size-3.5 text-good" aria-hidden /> : <Copy className="size-3.5" aria-hidden />}
    </IconButton>
  );
}

export function CodeBlock({ text, className }: { text: string; className?: string }) {
  return (
    <div className={cn("relative rounded-md border border-line bg-sunken", className)}>
      <pre tabIndex={0} className="overflow-x-auto px-3 py-2 pr-11 font-mono text-xs leading-5 whitespace-pre">
        {text}
      </pre>
      <CopyButton text={text} className="absolute top-1 right-1 bg-sunken" />
    </div>
  );
}
