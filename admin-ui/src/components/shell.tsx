// The frame of every screen: navigation, search, the state of the connection, notifications, and the shortcuts that
// work everywhere. It also holds the sign-in, for hubs whose admin listener requires a token.
import { useQueryClient } from "@tanstack/react-query";
import { Outlet, useRouterState } from "@tanstack/react-router";
import { Menu as MenuIcon, Search } from "lucide-react";
import { lazy, Suspense, useEffect, useState } from "react";
import { useSignedOut } from "@/api/session";
import { inField, useHotkey } from "@/lib/hooks";
import { ConnectionBanner, Logo, Sidebar } from "./sidebar";
import { IconButton } from "./ui/button";
import { useFocusMemory } from "./ui/dialog-focus";
import { LazySheet } from "./ui/lazy-dialog";
import { TipLayer } from "./ui/tip";
import { Toasts } from "./ui/toast";

const SignIn = lazy(() => import("./sign-in").then((module) => ({ default: module.SignIn })));
const CommandPalette = lazy(() => import("./command-palette").then((module) => ({ default: module.CommandPalette })));
const ShortcutHelp = lazy(() => import("./shortcut-help").then((module) => ({ default: module.ShortcutHelp })));

export function Shell() {
  const client = useQueryClient();
  const [menu, setMenu] = useState(false);
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const signedOut = useSignedOut();
  useFocusMemory();

  // Nothing of what was read stays behind the form.
  useEffect(() => {
    if (signedOut) client.clear();
  }, [client, signedOut]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes when the screen changes.
  useEffect(() => setMenu(false), [path]);

  useHotkey(
    (event) => (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k",
    () => setPalette((open) => !open),
  );
  useHotkey(
    (event) => event.key === "?" && !inField(event),
    () => setHelp(true),
  );
  useHotkey(
    (event) => event.key === "/" && !event.ctrlKey && !event.metaKey && !inField(event),
    () => {
      const field = document.querySelector<HTMLInputElement>("main [data-search]");
      if (field) {
        field.focus();
        field.select();
      } else setPalette(true);
    },
  );

  if (signedOut)
    return (
      <Suspense>
        <SignIn />
      </Suspense>
    );
  return (
    <div className="min-h-dvh lg:grid lg:grid-cols-[13.5rem_minmax(0,1fr)]">
      <a
        href="#content"
        className="sr-only z-50 rounded-md bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to content
      </a>
      <aside className="sticky top-0 hidden h-dvh border-r border-line lg:block">
        <Sidebar onSearch={() => setPalette(true)} onHelp={() => setHelp(true)} />
      </aside>
      <div className="flex min-w-0 flex-col">
        <div className="sticky top-0 z-30 flex h-12 items-center gap-2 border-b border-line bg-canvas px-3 lg:hidden">
          <IconButton label="Open menu" onClick={() => setMenu(true)}>
            <MenuIcon className="size-4" aria-hidden />
          </IconButton>
          <Logo />
          <IconButton label="Search or run a command" className="ml-auto" onClick={() => setPalette(true)}>
            <Search className="size-4" aria-hidden />
          </IconButton>
        </div>
        <ConnectionBanner />
        <main
          id="content"
          tabIndex={-1}
          className="mx-auto w-full max-w-[88rem] flex-1 px-4 pt-5 pb-24 outline-none sm:px-6 lg:px-8"
        >
          <Outlet />
        </main>
      </div>
      <LazySheet open={menu} onClose={() => setMenu(false)} title="Menu">
        <Sidebar
          onSearch={() => {
            setMenu(false);
            setPalette(true);
          }}
          onHelp={() => {
            setMenu(false);
            setHelp(true);
          }}
        />
      </LazySheet>
      <Suspense>
        {palette && <CommandPalette onClose={() => setPalette(false)} onHelp={() => setHelp(true)} />}
        {help && <ShortcutHelp onClose={() => setHelp(false)} />}
      </Suspense>
      <Toasts />
      <TipLayer />
    </div>
  );
}
