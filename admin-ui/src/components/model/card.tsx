// The model's README as it is meant to be read. Strangers wrote it: HTML in it is dropped, images are named and not
// loaded, and links open in a new tab and lead only to the web.
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { FileText, ImageOff } from "lucide-react";
import Markdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import { ApiError } from "@/api/problem";
import { contentQuery } from "@/api/queries";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { splitFrontMatter } from "@/lib/front-matter";
import { isText, modelSlug } from "@/lib/paths";
import { Facts, Panel } from "../ui/panel";
import { Empty, Failure, Note, SkeletonLines } from "../ui/states";

export function Card({ model, revision }: { model: ModelRepo; revision: string }) {
  const { data, isPending, isError, error, refetch } = useQuery(contentQuery(model.id, revision, "README.md"));
  if (isPending) {
    return (
      <Panel>
        <SkeletonLines count={9} />
      </Panel>
    );
  }
  if (isError) {
    return (
      <Panel flush>
        {error instanceof ApiError && error.isNotFound ? (
          <Empty icon={<FileText aria-hidden />} title="No card">
            This revision has no README.md.
          </Empty>
        ) : (
          <Failure error={error} retry={() => refetch()} />
        )}
      </Panel>
    );
  }
  const { fields, body } = splitFrontMatter(data.text);
  return (
    <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,1fr)_18rem]">
      <Panel>
        <div className="prose max-w-[46rem]">
          <SafeMarkdown text={body} model={model} />
        </div>
        {data.truncated && <Note className="mt-4">Only the first MiB of the card is shown.</Note>}
      </Panel>
      {fields.length > 0 && (
        <Panel title="Card metadata" className="xl:sticky xl:top-5">
          <Facts
            className="grid-cols-[minmax(4rem,auto)_minmax(0,1fr)]"
            items={fields.map(([name, value]) => [name.replaceAll("_", " "), value] as const)}
          />
        </Panel>
      )}
    </div>
  );
}

/** Links that may be followed; everything else becomes plain text. */
export function safeAddress(address: string | undefined): string | undefined {
  return address && /^(https?:|mailto:)/i.test(address) ? address : undefined;
}

export function SafeMarkdown({ text, model }: { text: string; model: ModelRepo }) {
  const components: Components = {
    a: ({ href, children }) => {
      const safe = safeAddress(href);
      if (safe) {
        return (
          <a href={safe} target="_blank" rel="noreferrer nofollow">
            {children}
          </a>
        );
      }
      const path = href?.replace(/^\.\//, "").replace(/[?#].*$/, "") ?? "";
      if (path && isText(path) && !path.includes(":")) {
        return (
          <Link to="/models/$" params={{ _splat: modelSlug(model) }} search={{ file: path }}>
            {children}
          </Link>
        );
      }
      return <span>{children}</span>;
    },
    img: ({ alt }) => (
      <span className="inline-flex items-center gap-1.5 rounded-md border border-dashed border-line-strong px-2 py-0.5 text-xs text-muted">
        <ImageOff className="size-3.5" aria-hidden />
        {alt ? `Image: ${alt}` : "Image not loaded"}
      </span>
    ),
    h1: ({ children }) => <h2>{children}</h2>,
    h2: ({ children }) => <h3>{children}</h3>,
    h3: ({ children }) => <h4>{children}</h4>,
    h4: ({ children }) => <h5>{children}</h5>,
    h5: ({ children }) => <h6>{children}</h6>,
    h6: ({ children }) => <h6>{children}</h6>,
    pre: ({ children }) => <pre tabIndex={0}>{children}</pre>,
    table: ({ children }) => (
      <div className="overflow-x-auto" tabIndex={0}>
        <table>{children}</table>
      </div>
    ),
    input: ({ checked }) => <span>{checked ? "☑" : "☐"}</span>,
  };
  return (
    <Markdown skipHtml remarkPlugins={[remarkGfm]} components={components}>
      {text}
    </Markdown>
  );
}
