// The branch, tag or commit being viewed.
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { revisionsQuery } from "@/api/queries";
import type { ModelRepo } from "@/gen/modelhub/v1/model_pb";
import { shortCommit } from "@/lib/paths";
import { Select } from "../ui/field";

export function RevisionPicker({ model, revision }: { model: ModelRepo; revision: string }) {
  const navigate = useNavigate({ from: "/models/$" });
  const { data } = useQuery(revisionsQuery(model.id));
  const main = model.revision || "main";
  const known = data?.revisions ?? [];
  const current = revision || main;
  const others = known.filter((one) => one.name !== main);
  const stranger = current !== main && !others.some((one) => one.name === current);
  return (
    <Select
      aria-label="Revision"
      value={current}
      onChange={(event) =>
        void navigate({
          search: (old) => ({
            tab: old.tab,
            view: old.view,
            part: old.part,
            rev: event.target.value === main ? undefined : event.target.value,
          }),
        })
      }
      className="w-44"
    >
      <option value={main}>
        {main}
        {model.commit && ` · ${shortCommit(known.find((one) => one.name === main)?.commit || model.commit)}`}
      </option>
      {others.map((one) => (
        <option key={one.name} value={one.name}>
          {one.name} · {shortCommit(one.commit)}
          {one.listed ? "" : " (not listed)"}
        </option>
      ))}
      {stranger && <option value={current}>{current.length === 40 ? shortCommit(current) : current}</option>}
    </Select>
  );
}
