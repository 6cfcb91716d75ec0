// A repository that upstream keeps closed: what is missing, the way to it, and another try as soon as it opens.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ExternalLink, Lock } from "lucide-react";
import { useEffect, useRef } from "react";
import { reopen, useAction } from "@/api/actions";
import { gateQuery, settingsQuery } from "@/api/queries";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import type { Settings } from "@/gen/modelhub/v1/system_pb";
import { buttonClass } from "../ui/button";
import { Note } from "../ui/states";

/** Whether what went wrong with the model is that the hub may not see its files. */
export const isClosed = (model: ModelRepo) =>
  model.visibility !== "public" && /\b(gated|no access|restricted|log in)\b/i.test(model.problem);

/** `acts`: tries again when it opens; on a page that shows this twice, one of them does. */
export function Gate({ model, acts = true }: { model: ModelRepo; acts?: boolean }) {
  const settings = useQuery(settingsQuery());
  const gate = useQuery(gateQuery(model));
  const open = useAction({
    run: () => reopen(model),
    done: () => `Access to ${model.repoId} granted; retrying`,
    failed: "Could not try again",
    refresh: [["model"], ["jobs"], ["overview"]],
  });
  // Once for each time that it opens: the page may be looked at while the job is about to begin.
  const opened = useRef(false);
  const isOpen = (gate.data?.files ?? 0n) > 0n;
  useEffect(() => {
    if (acts && isOpen && !opened.current) open.go(undefined);
    opened.current = isOpen;
  }, [acts, isOpen, open.go]);

  if (!settings.data) return null;
  return (
    <GateNote url={model.url} settings={settings.data} gated={model.visibility === "gated"}>
      {isOpen
        ? "Access granted."
        : "This page checks again automatically, and resumes the download once access is granted."}
      {model.bytesHere > 0n && " Cached files are still served."}
    </GateNote>
  );
}

export function GateNote({
  url,
  settings,
  gated,
  children,
}: {
  url: string;
  settings: Settings;
  gated: boolean;
  children?: string | (string | false)[];
}) {
  const hasToken = settings.hfTokenSet;
  const host = settings.upstreamUrl.replace(/^https?:\/\//, "").replace(/^huggingface\.co$/, "Hugging Face");
  const title = hasToken ? "This hub's token has no access to this repository" : "This hub has no token";
  return (
    <Note tone="warn" icon={<Lock aria-hidden />} title={title}>
      <p>
        {gated
          ? `Gated repository: accept its terms on ${host} first; some authors approve each request. `
          : "Private repository: only accounts that its owner has granted access can see it. "}
        {hasToken ? "The account of this hub's token has no access yet." : "Then set the token of that account here."}{" "}
        {children}
      </p>
      <p className="mt-2 flex flex-wrap gap-2">
        <Link to="/settings" hash="token" className={buttonClass(hasToken ? "plain" : "primary", true)}>
          {hasToken ? "Replace the token" : "Set a token"}
        </Link>
        {gated && url && (
          <a href={url} target="_blank" rel="noreferrer" className={buttonClass("plain", true)}>
            Request access on {host}
            <ExternalLink className="size-3.5" aria-label="opens in a new tab" />
          </a>
        )}
      </p>
    </Note>
  );
}
