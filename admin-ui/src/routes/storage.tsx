// A screen that is not built yet.
export function Storage() {
  return null;
}
