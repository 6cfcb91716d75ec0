// A confirmation that is typed, for what nothing brings back: a click may be a slip.
import { Field, Input } from "./field";

const words = "remove for good";

export const isTyped = (text: string) => text.trim().toLowerCase() === words;

export function Typed({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <Field
      label={
        <>
          Type <span className="font-mono">{words}</span> to confirm
        </>
      }
    >
      {(ids) => (
        <Input
          {...ids}
          className="max-w-56"
          value={value}
          onChange={(event) => onChange(event.target.value)}
          autoComplete="off"
          spellCheck={false}
        />
      )}
    </Field>
  );
}
