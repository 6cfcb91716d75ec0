// A screen that is not built yet.
export function JobDetail() {
  return null;
}
