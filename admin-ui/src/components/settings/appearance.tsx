// Light, dark, or as the system; stored in this browser.
import { setTheme, type Theme, useTheme } from "@/lib/theme";
import { Panel } from "../ui/panel";
import { Segmented } from "../ui/segmented";

const themes: { value: Theme; label: string }[] = [
  { value: "system", label: "System" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

export function Appearance() {
  return (
    <Panel id="appearance" title="Appearance" note="in this browser">
      <Segmented label="Appearance" value={useTheme()} onChange={setTheme} options={themes} />
    </Panel>
  );
}
