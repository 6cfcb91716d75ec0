// The Hugging Face token: can be set, tested and removed, and is never shown.
import { CircleCheck, CircleX } from "lucide-react";
import { type FormEvent, useState } from "react";
import { testToken, useAction } from "@/api/actions";
import { sentence } from "@/api/problem";
import type { Settings } from "@/gen/modelhub/v1/system_pb";
import { Badge } from "../ui/badge";
import { Button } from "../ui/button";
import { Confirm } from "../ui/dialog";
import { Field, Input } from "../ui/field";
import { Panel } from "../ui/panel";
import { Note } from "../ui/states";
import { useSettings } from "./use-settings";

export function TokenSettings({ settings }: { settings: Settings }) {
  const [token, setToken] = useState("");
  const [removing, setRemoving] = useState(false);
  const test = useAction({ run: (value: string) => testToken(value) });
  const save = useSettings("Token saved");
  const remove = useSettings("Token removed");
  const configured = settings.hfTokenSource === "configuration";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!token.trim()) return;
    save.go({ hfToken: token.trim() });
    setToken("");
    test.reset();
  };
  return (
    <Panel
      id="token"
      title="Hugging Face token"
      note="for jobs on gated and private repositories"
      actions={settings.hfTokenSet ? <Badge tone="good">set</Badge> : <Badge>not set</Badge>}
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        {configured && (
          <Note>The token comes from the configuration (MODELHUB_HF_TOKEN). One set here takes precedence.</Note>
        )}
        <Field
          label={settings.hfTokenSet ? "Replace token" : "Token"}
          hint="Stored on the hub's machine, sent only to upstream, and never shown again. Clients use their own tokens."
        >
          {(ids) => (
            <span className="flex flex-wrap gap-2">
              <Input
                {...ids}
                type="password"
                autoComplete="off"
                placeholder={settings.hfTokenSet ? "••••••••••••" : "hf_…"}
                className="max-w-80 font-mono"
                value={token}
                onChange={(event) => {
                  setToken(event.target.value);
                  test.reset();
                }}
              />
              <Button type="submit" look="primary" busy={save.busy} disabled={!token.trim()}>
                Save
              </Button>
              <Button
                busy={test.busy}
                disabled={!token.trim() && !settings.hfTokenSet}
                onClick={() => test.go(token.trim())}
              >
                Test
              </Button>
              {settings.hfTokenSet && !configured && (
                <Button look="danger" onClick={() => setRemoving(true)}>
                  Remove
                </Button>
              )}
            </span>
          )}
        </Field>
        <div aria-live="polite">
          {test.data &&
            (test.data.valid ? (
              <p className="flex items-center gap-2 text-sm text-good">
                <CircleCheck className="size-4" aria-hidden />
                Valid: belongs to {test.data.account || "an account"}.
              </p>
            ) : (
              <p className="flex items-center gap-2 text-sm text-bad">
                <CircleX className="size-4" aria-hidden />
                {test.data.problem || "Upstream rejected the token."}
              </p>
            ))}
          {test.error && <p className="text-sm text-bad">{sentence(test.error)}</p>}
        </div>
      </form>
      <Confirm
        open={removing}
        onClose={() => setRemoving(false)}
        title="Remove the token?"
        action="Remove token"
        busy={remove.busy}
        onConfirm={() => {
          setRemoving(false);
          remove.go({ hfToken: "" });
        }}
      >
        <p>Jobs will no longer have access to gated and private repositories. Files on disk are kept.</p>
      </Confirm>
    </Panel>
  );
}
