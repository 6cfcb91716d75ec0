// The keys that work everywhere.
import { Key } from "./sidebar";
import { Dialog } from "./ui/dialog";

const keys = [
  ["Ctrl K", "Search models and do things"],
  ["/", "Go to the search of this screen"],
  ["?", "Show these keys"],
  ["Esc", "Close a dialog, empty a search"],
  ["↑ ↓", "Move in lists and in the file tree"],
  ["→ ←", "Open and close folders in the file tree"],
  ["Space", "Select a file or folder"],
  ["Enter", "Open what is marked"],
] as const;

export function ShortcutHelp({ onClose }: { onClose: () => void }) {
  return (
    <Dialog open onClose={onClose} title="Keys">
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
