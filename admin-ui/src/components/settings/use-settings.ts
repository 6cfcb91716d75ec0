// Changing settings: sends what changed, and puts the response where every screen reads it.
import { useQueryClient } from "@tanstack/react-query";
import { updateSettings, useAction } from "@/api/actions";
import { settingsQuery } from "@/api/queries";

type Change = Parameters<typeof updateSettings>[0];

export function useSettings(done = "Saved") {
  const client = useQueryClient();
  return useAction({
    run: (change: Change) => updateSettings(change),
    done: () => done,
    failed: "Could not save the setting",
    refresh: [["overview"]],
    after: (settings) => client.setQueryData(settingsQuery().queryKey, settings),
  });
}
