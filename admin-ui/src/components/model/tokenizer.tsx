// The tokenizer: what the facts say about it, and what its own config file adds.
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { contentQuery } from "@/api/queries";
import type { ModelFacts, ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { count, plural } from "@/lib/format";
import { tokenizerFacts } from "@/lib/tokenizer";
import { CopyButton } from "../ui/copy";
import { Facts, Panel } from "../ui/panel";

const file = "tokenizer_config.json";
/** More are rarely needed; the rest is in the config files. */
const shown = 24;

export function Tokenizer({ model, revision, facts }: { model: ModelRepo; revision: string; facts: ModelFacts }) {
  // Only where it exists: a GGUF file brings its tokenizer with it.
  const exists = facts.read.includes(file);
  const content = useQuery({ ...contentQuery(model.id, revision, file), enabled: exists });
  const own = content.data && tokenizerFacts(content.data.text);
  const wait = exists && content.isPending;
  return (
    <Panel title="Tokenizer">
      <Facts
        items={[
          facts.tokenizer !== "" && ["Class", facts.tokenizer],
          facts.vocabSize > 0n && ["Vocabulary", plural(facts.vocabSize, "token")],
          own !== undefined && own.maxLength > 0 && ["Max length", `${count(own.maxLength)} tokens`],
          own !== undefined &&
            own.special.length > 0 && [
              "Special tokens",
              <span key="s" className="flex flex-wrap gap-x-4 gap-y-1">
                {own.special.map(([name, token]) => (
                  <span key={name}>
                    <span className="text-muted">{name}</span> <Token>{token}</Token>
                  </span>
                ))}
              </span>,
            ],
          own !== undefined &&
            own.added.length > 0 && [
              "Added tokens",
              <details key="a">
                <summary className="w-fit rounded hover:text-accent">{plural(own.added.length, "token")}</summary>
                <span className="mt-1.5 flex flex-wrap gap-1">
                  {own.added.slice(0, shown).map((token) => (
                    <Token key={token}>{token}</Token>
                  ))}
                  {own.added.length > shown && (
                    <span className="text-xs text-muted">and {count(own.added.length - shown)} more</span>
                  )}
                </span>
              </details>,
            ],
          // Their places are kept while the file is read, so that nothing below jumps.
          wait && ["Max length", <Wait key="l" />],
          wait && ["Special tokens", <Wait key="s" />],
          wait && ["Added tokens", <Wait key="a" />],
          [
            "Chat template",
            own && own.templates.length > 0 ? (
              <span key="t" className="flex flex-col gap-1.5">
                {own.templates.map(([name, text]) => (
                  <Template key={name} name={name} text={text} />
                ))}
              </span>
            ) : facts.chatTemplate ? (
              "yes"
            ) : (
              "no"
            ),
          ],
        ]}
      />
    </Panel>
  );
}

const Wait = () => (
  <span className="flex h-5 items-center">
    <span className="skeleton h-3.5 w-32 rounded" />
  </span>
);

const Token = ({ children }: { children: ReactNode }) => (
  <code className="rounded border border-line bg-sunken px-1 font-mono text-xs break-all">{children}</code>
);

function Template({ name, text }: { name: string; text: string }) {
  return (
    <details>
      <summary className="w-fit rounded hover:text-accent">
        {name ? `${name}, ` : ""}
        {plural(text.length, "character")}
      </summary>
      <div className="relative mt-1.5 rounded-md border border-line bg-sunken">
        <pre tabIndex={0} className="max-h-80 overflow-auto p-2 pr-10 font-mono text-xs leading-5 whitespace-pre-wrap">
          {text}
        </pre>
        <CopyButton text={text} label="Copy template" className="absolute top-1 right-1 bg-sunken" />
      </div>
    </details>
  );
}
