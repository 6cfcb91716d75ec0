// A screen that is not built yet.
export function SettingsPage() {
  return null;
}
