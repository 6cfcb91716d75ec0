// Asks for the admin token where the hub's admin listener requires one, and where it no longer takes the one it had.
import { type FormEvent, useState } from "react";
import { takes } from "@/api/client";
import { sentence } from "@/api/problem";
import { adminToken, signIn } from "@/api/session";
import { Logo } from "./sidebar";
import { Button } from "./ui/button";
import { Field, Input } from "./ui/field";

export function SignIn() {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState(adminToken() ? "The hub no longer accepts the previous token." : undefined);
  const [busy, setBusy] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const typed = token.trim();
    if (!typed || busy) return;
    setBusy(true);
    try {
      if (await takes(typed)) signIn(typed);
      else setProblem("Token rejected.");
    } catch (error) {
      setProblem(sentence(error));
    }
    setBusy(false);
  };

  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <form
        onSubmit={submit}
        className="flex w-full max-w-sm flex-col gap-4 rounded-lg border border-line bg-panel p-6"
      >
        <Logo />
        <h1 className="text-lg font-semibold">Sign in</h1>
        <Field
          label="Admin token"
          hint="The value of admin.token (MODELHUB_ADMIN_TOKEN) in the hub's configuration. Kept until you sign out or close all tabs of this hub."
          problem={problem}
        >
          {(ids) => (
            <Input
              {...ids}
              type="password"
              autoComplete="current-password"
              autoFocus
              value={token}
              onChange={(event) => {
                setToken(event.target.value);
                setProblem(undefined);
              }}
            />
          )}
        </Field>
        <Button type="submit" look="primary" busy={busy} disabled={!token.trim()}>
          Sign in
        </Button>
      </form>
    </main>
  );
}
