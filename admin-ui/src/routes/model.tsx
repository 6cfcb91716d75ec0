// A screen that is not built yet.
export function Model() {
  return null;
}
