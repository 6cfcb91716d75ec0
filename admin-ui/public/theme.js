// Sets the theme before the first paint. A file of its own, because the page's policy allows no inline scripts.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("modelhub.theme");
  } catch {
    // Storage may be closed to us; then the system's theme counts.
  }
  const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
