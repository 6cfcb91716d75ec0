// What the model is, from its config files and the headers of its weights: a summary first, and raw on request.
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { factsQuery } from "@/api/queries";
import type { Adapter, ModelFacts, ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { bytes, count, parameters, percent, share } from "@/lib/format";
import type { ModelSearch } from "@/lib/search";
import { Badge } from "../ui/badge";
import { Facts, Panel } from "../ui/panel";
import { Segmented } from "../ui/segmented";
import { Empty, Failure, Note, SkeletonLines } from "../ui/states";
import { ConfigFiles } from "./config-files";
import { Tensors } from "./tensors";
import { Tokenizer } from "./tokenizer";

export function Metadata({ model, revision }: { model: ModelRepo; revision: string }) {
  const search = useSearch({ from: "/models/$" });
  const navigate = useNavigate({ from: "/models/$" });
  const part = search.part ?? "overview";
  return (
    <div className="flex flex-col gap-3">
      <Segmented
        label="Show"
        className="self-start"
        value={part}
        onChange={(next) =>
          void navigate({
            search: (old) => ({
              ...old,
              part: next === "overview" ? undefined : (next as ModelSearch["part"]),
              file: undefined,
              raw: undefined,
              find: undefined,
            }),
            resetScroll: false,
          })
        }
        options={[
          { value: "overview", label: "Overview" },
          { value: "config", label: "Config files" },
          { value: "tensors", label: "Tensors" },
        ]}
      />
      {part === "overview" && <Overview model={model} revision={revision} />}
      {part === "config" && <ConfigFiles model={model} revision={revision} />}
      {part === "tensors" && <Tensors model={model} revision={revision} />}
    </div>
  );
}

function Overview({ model, revision }: { model: ModelRepo; revision: string }) {
  const { data, isPending, isError, error, refetch } = useQuery(factsQuery(model.id, revision));
  if (isPending) {
    return (
      <Panel>
        <SkeletonLines count={8} />
      </Panel>
    );
  }
  if (isError) {
    return (
      <Panel flush>
        <Failure error={error} retry={() => refetch()} />
      </Panel>
    );
  }
  const nothing =
    !data.architecture &&
    !data.modelType &&
    !data.adapter &&
    data.parameters === 0n &&
    data.weightBytes === 0n &&
    data.components.length === 0;
  return (
    <div className="grid items-start gap-4 lg:grid-cols-2">
      {nothing ? (
        <Panel flush className="lg:col-span-2">
          <Empty title="No metadata found">
            {data.problems[0] ?? "There are no readable config files, and no weights on disk."}
          </Empty>
        </Panel>
      ) : (
        <>
          <Panel title="Architecture">
            <Architecture facts={data} />
          </Panel>
          <div className="flex min-w-0 flex-col gap-4">
            {(data.tokenizer !== "" || data.chatTemplate) && (
              <Tokenizer model={model} revision={revision} facts={data} />
            )}
            {data.adapter && <AdapterPanel adapter={data.adapter} />}
            {data.memoryBytes > 0n && (
              <Panel
                title="Memory"
                note={data.context > 0n ? `for a context of ${count(data.context)} tokens` : undefined}
              >
                <p className="text-sm">
                  About <strong className="font-semibold">{bytes(data.memoryBytes)}</strong> of GPU memory
                  {data.fits.length > 0 &&
                    (data.fits.some((fit) => fit.fits)
                      ? `; currently fits on GPU ${data.fits
                          .filter((fit) => fit.fits)
                          .map((fit) => fit.gpu)
                          .join(" and ")}.`
                      : data.gpusNeeded > 1
                        ? `; currently fits on ${data.gpusNeeded} GPUs together.`
                        : "; no GPU currently has that much free.")}
                </p>
                <p className="text-sm text-muted">
                  Weights {bytes(data.weightBytes)}, KV cache {data.kvCacheBytes ? bytes(data.kvCacheBytes) : "none"}
                </p>
              </Panel>
            )}
            {data.components.length > 0 && (
              <Panel title="Pipeline components" flush>
                <table className="w-full text-sm">
                  <tbody className="divide-y divide-line">
                    {data.components.map((component) => (
                      <tr key={component.name}>
                        <th scope="row" className="px-4 py-2 text-left font-normal text-muted">
                          {component.name}
                        </th>
                        <td className="px-2 py-2 font-mono text-xs">{component.className}</td>
                        <td className="tabular px-2 py-2 text-right text-muted">
                          {component.parameters > 0n && `${parameters(component.parameters)} parameters`}
                        </td>
                        <td className="tabular px-2 py-2 text-right text-muted">
                          {component.weightBytes > 0n && bytes(component.weightBytes)}
                        </td>
                        <td className="px-4 py-2 text-right text-muted">{component.library}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </Panel>
            )}
            {data.tags.length > 0 && (
              <Panel title="Tags">
                <div className="flex flex-wrap gap-1.5">
                  {data.tags.map((tag) => (
                    <Badge key={tag}>{tag}</Badge>
                  ))}
                </div>
              </Panel>
            )}
            {(data.read.length > 0 || data.problems.length > 0) && (
              <Panel title="Sources">
                <div className="flex flex-col gap-2 text-sm">
                  {data.read.length > 0 && (
                    <p className="text-muted">
                      Read from <span className="font-mono text-xs text-soft">{data.read.join(", ")}</span>
                    </p>
                  )}
                  {data.problems.map((problem) => (
                    <Note key={problem} tone="warn">
                      {problem}
                    </Note>
                  ))}
                </div>
              </Panel>
            )}
          </div>
        </>
      )}
    </div>
  );
}

function Architecture({ facts }: { facts: ModelFacts }) {
  const number = (value: bigint) => (value > 0n ? count(value) : "");
  const items: [string, React.ReactNode][] = [
    ["Class", facts.architecture && <span className="font-mono text-xs">{facts.architecture}</span>],
    ["Type", facts.modelType],
    ["Task", facts.task],
    [
      "Parameters",
      facts.parameters > 0n && <span title={count(facts.parameters)}>{parameters(facts.parameters)}</span>,
    ],
    [
      "Data type",
      facts.dtypes.length > 0 &&
        facts.dtypes
          .map((dtype) =>
            facts.dtypes.length > 1
              ? `${dtype.name} ${percent(share(dtype.parameters, facts.parameters))}`
              : dtype.name,
          )
          .join(", "),
    ],
    ["Quantisation", facts.quantisation],
    ["Context", facts.contextLength > 0n && `${count(facts.contextLength)} tokens`],
    ["Layers", number(facts.layers)],
    ["Hidden size", number(facts.hiddenSize)],
    [
      "Attention heads",
      facts.attentionHeads > 0n &&
        `${count(facts.attentionHeads)}${facts.kvHeads > 0n ? ` (${count(facts.kvHeads)} KV heads)` : ""}`,
    ],
    [
      "Experts",
      facts.experts > 0n &&
        `${count(facts.experts)}${facts.expertsUsed > 0n ? ` (${count(facts.expertsUsed)} used for a token)` : ""}`,
    ],
    ["Sliding window", facts.slidingWindow > 0n && `${count(facts.slidingWindow)} tokens`],
    ["Weights", facts.weightBytes > 0n && bytes(facts.weightBytes)],
    ["Licence", facts.licence],
  ];
  return <Facts items={items.map(([name, value]) => (value ? ([name, value] as const) : false))} />;
}

/** What the weights change, and how much they add: the memory that they need is not known without their base. */
function AdapterPanel({ adapter }: { adapter: Adapter }) {
  return (
    <Panel title="Adapter">
      <Facts
        items={[
          ["Base model", adapter.baseModel || "Unknown"],
          adapter.kind !== "" && ["Kind", adapter.kind],
          adapter.rank > 0n && ["Rank", count(adapter.rank)],
          adapter.parameters > 0n && ["Parameters", parameters(adapter.parameters)],
          adapter.weightBytes > 0n && ["Weights", bytes(adapter.weightBytes)],
        ]}
      />
    </Panel>
  );
}
