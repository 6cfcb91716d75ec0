// One setting with its field: saved on request, or reset to the current value.
import { type FormEvent, useEffect, useState } from "react";
import type { updateSettings } from "@/api/actions";
import { Button } from "../ui/button";
import { Field, Input } from "../ui/field";
import { useSettings } from "./use-settings";

interface Props {
  label: string;
  hint: string;
  value: string;
  suffix?: string;
  placeholder?: string;
  /** The change that the text stands for, or a sentence that says what to enter instead. */
  parse: (text: string) => Parameters<typeof updateSettings>[0] | string;
}

export function SettingForm({ label, hint, value, suffix, placeholder, parse }: Props) {
  const [text, setText] = useState(value);
  const action = useSettings(`Saved: ${label.toLowerCase()}`);
  useEffect(() => setText(value), [value]);
  const dirty = text.trim() !== value;
  const change = parse(text);
  const problem = dirty && typeof change === "string" ? change : undefined;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (dirty && typeof change !== "string") action.go(change);
  };
  return (
    <form onSubmit={submit}>
      <Field label={label} hint={hint} problem={problem}>
        {(ids) => (
          <span className="flex items-center gap-2">
            <Input
              {...ids}
              className="max-w-48"
              value={text}
              placeholder={placeholder}
              onChange={(event) => setText(event.target.value)}
              onKeyDown={(event) => event.key === "Escape" && setText(value)}
            />
            {suffix && <span className="text-sm text-muted">{suffix}</span>}
            {dirty && (
              <>
                <Button type="submit" look="primary" busy={action.busy} disabled={problem !== undefined}>
                  Save
                </Button>
                <Button look="quiet" onClick={() => setText(value)}>
                  Discard
                </Button>
              </>
            )}
          </span>
        )}
      </Field>
    </form>
  );
}
