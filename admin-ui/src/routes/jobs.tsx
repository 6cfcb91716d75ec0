// A screen that is not built yet.
export function Jobs() {
  return null;
}
