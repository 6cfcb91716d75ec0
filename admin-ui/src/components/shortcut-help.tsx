// The shortcuts that work everywhere.
import { Key } from "./sidebar";
import { Dialog } from "./ui/dialog";

const keys = [
  ["Ctrl K", "Search models and run commands"],
  ["/", "Focus the search field"],
  ["?", "Show these shortcuts"],
  ["Esc", "Close a dialog or clear a search"],
  ["↑ ↓", "Move through lists and the file tree"],
  ["→ ←", "Expand and collapse folders in the file tree"],
  ["Space", "Select a file or folder"],
  ["Enter", "Open the highlighted item"],
  ["Tab", "Reach the buttons of the highlighted file"],
] as const;

export function ShortcutHelp({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open onClose={onClose} title="Keyboard shortcuts">
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-2.5">
        {keys.map(([key, text]) => (
          <div key={key} className="contents">
            <dt className="text-right">
              <Key>{key}</Key>
            </dt>
            <dd className="text-soft">{text}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
