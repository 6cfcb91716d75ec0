// Ctrl-K: find a model, go to a screen or run a command by typing. One list, navigated with the arrow keys.
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import {
  Boxes,
  FolderInput,
  FolderOutput,
  Gauge,
  HardDrive,
  Keyboard,
  ListChecks,
  LogOut,
  type LucideIcon,
  MonitorCog,
  Moon,
  Plug,
  Plus,
  Search,
  Settings2,
  ShieldCheck,
  Sun,
  Trash2,
} from "lucide-react";
import { Dialog } from "radix-ui";
import { useEffect, useId, useRef, useState } from "react";
import { modelSearchQuery } from "@/api/queries";
import { adminToken, signOut } from "@/api/session";
import { cn } from "@/lib/cn";
import { bytes } from "@/lib/format";
import { useDebounced } from "@/lib/hooks";
import { modelSlug } from "@/lib/paths";
import { looksLikeSource } from "@/lib/source";
import { setTheme } from "@/lib/theme";
import { useDialogFocus } from "./ui/dialog-focus";

interface Command {
  key: string;
  group: string;
  label: string;
  hint?: string;
  icon: LucideIcon;
  run: () => void;
}

export function CommandPalette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const search = useDebounced(text.trim(), 120);
  const { data } = useQuery({ ...modelSearchQuery(search), enabled: search.length > 0 });
  const listId = useId();
  const focus = useDialogFocus();
  const list = useRef<HTMLDivElement>(null);

  const fixed: Command[] = [
    { key: "dashboard", group: "Go to", label: "Dashboard", icon: Gauge, run: () => navigate({ to: "/" }) },
    { key: "models", group: "Go to", label: "Models", icon: Boxes, run: () => navigate({ to: "/models" }) },
    { key: "jobs", group: "Go to", label: "Jobs", icon: ListChecks, run: () => navigate({ to: "/jobs" }) },
    {
      key: "failed",
      group: "Go to",
      label: "Failed jobs",
      icon: ListChecks,
      run: () => navigate({ to: "/jobs", search: { status: "failed" } }),
    },
    { key: "storage", group: "Go to", label: "Storage", icon: HardDrive, run: () => navigate({ to: "/storage" }) },
    { key: "settings", group: "Go to", label: "Settings", icon: Settings2, run: () => navigate({ to: "/settings" }) },
    {
      key: "register",
      group: "Commands",
      label: "Register a model…",
      icon: Plus,
      run: () => navigate({ to: "/models", search: { register: "" } }),
    },
    {
      key: "import",
      group: "Commands",
      label: "Import a folder…",
      icon: FolderInput,
      run: () => navigate({ to: "/storage", search: { dialog: "import" } }),
    },
    {
      key: "evict",
      group: "Commands",
      label: "Free disk space…",
      icon: Trash2,
      run: () => navigate({ to: "/storage", search: { dialog: "evict" } }),
    },
    {
      key: "verify",
      group: "Commands",
      label: "Verify entire store…",
      icon: ShieldCheck,
      run: () => navigate({ to: "/storage", search: { dialog: "verify" } }),
    },
    {
      key: "connect",
      group: "Commands",
      label: "Connect a client…",
      icon: Plug,
      run: () => navigate({ to: "/", search: { connect: true } }),
    },
    {
      key: "move",
      group: "Commands",
      label: "Move the store…",
      icon: FolderOutput,
      run: () => navigate({ to: "/settings", search: { move: true } }),
    },
    { key: "dark", group: "Commands", label: "Dark theme", icon: Moon, run: () => setTheme("dark") },
    { key: "light", group: "Commands", label: "Light theme", icon: Sun, run: () => setTheme("light") },
    { key: "system", group: "Commands", label: "System theme", icon: MonitorCog, run: () => setTheme("system") },
    { key: "keys", group: "Commands", label: "Keyboard shortcuts", icon: Keyboard, run: onHelp },
    ...(adminToken() ? [{ key: "sign-out", group: "Commands", label: "Sign out", icon: LogOut, run: signOut }] : []),
  ];
  const words = text.trim().toLowerCase();
  const models: Command[] =
    words && data
      ? data.models.map((model) => ({
          key: model.id,
          group: "Models",
          label: model.repoId,
          hint: Number(model.bytesHere) > 0 ? `${bytes(model.bytesHere)} on disk` : undefined,
          icon: Boxes,
          run: () => navigate({ to: "/models/$", params: { _splat: modelSlug(model) } }),
        }))
      : [];
  const register: Command[] = looksLikeSource(text)
    ? [
        {
          key: "register-this",
          group: "Commands",
          label: `Register ${text.trim()}`,
          icon: Plus,
          run: () => navigate({ to: "/models", search: { register: text.trim() } }),
        },
      ]
    : [];
  const commands = [
    ...models,
    ...fixed.filter((one) => !words || one.label.toLowerCase().includes(words)),
    ...register,
  ];
  const marked = Math.min(at, commands.length - 1);

  useEffect(() => {
    list.current?.querySelector(`[data-at="${marked}"]`)?.scrollIntoView({ block: "nearest" });
  }, [marked]);

  const choose = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };

  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 z-40 bg-shade" />
        <Dialog.Content
          aria-describedby={undefined}
          {...focus}
          className="appear fixed top-[10vh] left-1/2 z-40 flex max-h-[70vh] w-[calc(100%-1.5rem)] max-w-xl -translate-x-1/2 flex-col overflow-hidden rounded-lg border border-line bg-raised shadow-pop outline-none"
        >
          <Dialog.Title className="sr-only">Search or run a command</Dialog.Title>
          <div className="flex items-center gap-2.5 border-b border-line px-4">
            <Search className="size-4 text-muted" aria-hidden />
            <input
              role="combobox"
              aria-expanded
              aria-controls={listId}
              aria-activedescendant={marked >= 0 ? `${listId}-${marked}` : undefined}
              aria-label="Search models and commands"
              placeholder="Search models and commands"
              className="h-12 min-w-0 flex-1 bg-transparent text-base outline-none"
              value={text}
              spellCheck={false}
              autoComplete="off"
              onChange={(event) => {
                setText(event.target.value);
                setAt(0);
              }}
              onKeyDown={(event) => {
                if (event.key === "ArrowDown") setAt(Math.min(marked + 1, commands.length - 1));
                else if (event.key === "ArrowUp") setAt(Math.max(marked - 1, 0));
                else if (event.key === "Enter") choose(commands[marked]);
                else return;
                event.preventDefault();
              }}
            />
          </div>
          <div ref={list} id={listId} role="listbox" aria-label="Results" className="overflow-y-auto p-1.5">
            {commands.length === 0 && <p className="px-3 py-6 text-center text-muted">No results</p>}
            {commands.map((command, index) => (
              <div key={command.key} role="presentation">
                {command.group !== commands[index - 1]?.group && (
                  <p role="presentation" className="px-2.5 pt-2 pb-1 text-xs font-medium text-muted">
                    {command.group}
                  </p>
                )}
                <div
                  id={`${listId}-${index}`}
                  data-at={index}
                  role="option"
                  tabIndex={-1}
                  aria-selected={index === marked}
                  onMouseMove={() => setAt(index)}
                  onClick={() => choose(command)}
                  className={cn(
                    "flex h-9 cursor-pointer items-center gap-2.5 rounded-md px-2.5",
                    index === marked && "bg-accent-soft",
                  )}
                >
                  <command.icon className="size-4 shrink-0 text-muted" aria-hidden />
                  <span className="min-w-0 flex-1 truncate">{command.label}</span>
                  {command.hint && <span className="shrink-0 text-xs text-muted">{command.hint}</span>}
                </div>
              </div>
            ))}
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
