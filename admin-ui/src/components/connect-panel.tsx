// How to point tools at this hub, ready to copy: for a shell, Python, Docker and systemd. On a fresh hub it comes first
// on the dashboard, with the next steps.
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ArrowRight } from "lucide-react";
import type { connectPlaces } from "@/lib/search";
import { CodeBlock } from "./ui/copy";
import { Panel } from "./ui/panel";
import { Segmented } from "./ui/segmented";

type Place = (typeof connectPlaces)[number];

export function recipe(place: Place, endpoint: string): { text: string; note: string } {
  switch (place) {
    case "shell":
      return {
        text: `export HF_ENDPOINT=${endpoint}\nhf download openai-community/gpt2 config.json`,
        note: "Add the first line to ~/.profile to make it permanent. The second downloads a small file through this hub.",
      };
    case "python":
      return {
        text: `import os\nos.environ["HF_ENDPOINT"] = "${endpoint}"\n\nfrom huggingface_hub import snapshot_download\nsnapshot_download("openai-community/gpt2", allow_patterns=["*.json"])`,
        note: "Set it before importing any Hugging Face library.",
      };
    case "docker":
      return {
        text: `docker run --network host -e HF_ENDPOINT=${endpoint} IMAGE`,
        note: "A container on its own network cannot reach the host's loopback interface; use the host's address instead.",
      };
    case "systemd":
      return {
        text: `# systemctl edit your-service\n[Service]\nEnvironment=HF_ENDPOINT=${endpoint}`,
        note: "Then restart the service.",
      };
  }
}

const places = [
  { value: "shell", label: "Shell" },
  { value: "python", label: "Python" },
  { value: "docker", label: "Docker" },
  { value: "systemd", label: "systemd" },
] as const;

export function ConnectPanel({ endpoint, first }: { endpoint: string; first?: boolean }) {
  const place = useSearch({ from: "/" }).place ?? "shell";
  const navigate = useNavigate({ from: "/" });
  const setPlace = (next: Place) =>
    void navigate({
      search: (old) => ({ ...old, place: next === "shell" ? undefined : next }),
      replace: true,
      resetScroll: false,
    });
  const { text, note } = recipe(place, endpoint || "http://127.0.0.1:8484");
  const body = (
    <div className="flex flex-col gap-3">
      <Segmented label="Client" value={place} onChange={setPlace} options={places} className="self-start" />
      <CodeBlock text={text} />
      <p className="text-xs text-muted">{note}</p>
    </div>
  );
  if (!first) return body;
  return (
    <Panel className="mb-4">
      <div className="grid grid-cols-[minmax(0,1fr)] gap-x-10 gap-y-6 lg:grid-cols-[minmax(0,1.2fr)_minmax(0,1fr)]">
        <div className="flex min-w-0 flex-col gap-3">
          <div>
            <h2 className="text-lg font-semibold tracking-tight">The hub is ready</h2>
            <p className="text-muted">
              Point your tools at it. Whatever they download is cached, and served from here from then on.
            </p>
          </div>
          {body}
        </div>
        <div className="flex flex-col gap-3">
          <h3 className="text-sm font-semibold">Next steps</h3>
          <ol className="flex flex-col gap-2.5">
            <Step
              to="/models"
              search={{ register: "" }}
              title="Register a model"
              text="Browse its files, and download some or all of them in advance."
            />
            <Step
              to="/storage"
              search={{ dialog: "import" }}
              title="Import existing models"
              text="A Hugging Face cache or a folder of models on this machine."
            />
            <Step
              to="/settings"
              hash="token"
              title="Set a Hugging Face token"
              text="For gated and private repositories."
            />
          </ol>
        </div>
      </div>
    </Panel>
  );
}

function Step({
  to,
  search,
  hash,
  title,
  text,
}: {
  to: "/models" | "/storage" | "/settings";
  search?: Record<string, string>;
  hash?: string;
  title: string;
  text: string;
}) {
  return (
    <li>
      <Link
        to={to}
        search={search as never}
        hash={hash}
        className="flex w-full items-center gap-3 rounded-md border border-line-strong/70 bg-panel px-3 py-2 text-left text-sm transition-colors hover:bg-hover"
      >
        <span className="min-w-0 flex-1">
          <span className="block font-medium">{title}</span>
          <span className="block text-xs text-muted">{text}</span>
        </span>
        <ArrowRight className="size-4 text-muted" aria-hidden />
      </Link>
    </li>
  );
}
