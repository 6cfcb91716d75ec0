// Asks for the admin token where the hub's admin listener requires one. It is kept for this tab only.
import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { adminToken, setAdminToken } from "@/api/client";
import { overviewQuery } from "@/api/queries";
import { Logo } from "./sidebar";
import { Button } from "./ui/button";
import { Field, Input } from "./ui/field";

export function SignIn() {
  const client = useQueryClient();
  const [token, setToken] = useState("");
  const [refused, setRefused] = useState(adminToken() !== null);
  const [busy, setBusy] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setAdminToken(token.trim());
    await client.resetQueries({ queryKey: overviewQuery().queryKey });
    const state = client.getQueryState(overviewQuery().queryKey);
    setBusy(false);
    setRefused(state?.status === "error");
    if (state?.status === "success") void client.invalidateQueries();
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
          hint="The value of admin.token (MODELHUB_ADMIN_TOKEN) in the hub's configuration. It is kept for this tab only."
          problem={refused && !token ? "Token rejected." : undefined}
        >
          {(ids) => (
            <Input
              {...ids}
              type="password"
              autoComplete="current-password"
              value={token}
              onChange={(event) => setToken(event.target.value)}
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
