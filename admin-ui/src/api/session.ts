// Who is signed in: the admin token, where the hub requires one, and whether the hub still takes it. It is kept in session
// storage, which ends with the tab; tabs of the same browser hand it on to each other, so a second one need not ask.
import { useSyncExternalStore } from "react";

const tokenKey = "modelhub.admin-token";

/** What tabs tell each other. */
type Word = { kind: "ask" } | { kind: "token"; token: string } | { kind: "sign-out" };

let refused = false;
const listeners = new Set<() => void>();

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("modelhub.session") : undefined;
const tell = (word: Word) => channel?.postMessage(word);

export function adminToken(): string | null {
  try {
    return sessionStorage.getItem(tokenKey);
  } catch {
    return null;
  }
}

function keep(token: string | null) {
  try {
    if (token) sessionStorage.setItem(tokenKey, token);
    else sessionStorage.removeItem(tokenKey);
  } catch {
    // Without storage the token cannot be kept; the next request asks again.
  }
}

function setRefused(next: boolean) {
  refused = next;
  for (const listener of listeners) listener();
}

/** The hub takes this token: every tab may use it. */
export function signIn(token: string) {
  keep(token);
  tell({ kind: "token", token });
  setRefused(false);
}

/** Forgets the token, in every tab. */
export function signOut() {
  tell({ kind: "sign-out" });
  keep(null);
  setRefused(true);
}

/** The hub answered 401 to a request that had this token, or none. An answer to an older token says nothing. */
export function refuse(token: string | null) {
  if (token === adminToken()) setRefused(true);
}

export const isSignedOut = () => refused;

export function onSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** True while the hub wants a token that this tab does not have. */
export const useSignedOut = () => useSyncExternalStore(onSession, isSignedOut);

channel?.addEventListener("message", ({ data }: MessageEvent<Word>) => {
  switch (data.kind) {
    case "ask": {
      const token = adminToken();
      if (token && !refused) tell({ kind: "token", token });
      break;
    }
    case "token":
      // What works here stays: two hubs behind one address may differ.
      if (adminToken() && !refused) break;
      keep(data.token);
      setRefused(false);
      break;
    case "sign-out":
      if (!adminToken()) break;
      keep(null);
      setRefused(true);
      break;
  }
});
if (!adminToken()) tell({ kind: "ask" });
