// The settings of the fake hub before anybody changes one.
import { GiB } from "./model.ts";
import type { Json } from "./views.ts";

export const settings = (): Json => ({
  storage_path: "/var/lib/modelhub",
  database: "SQLite, /var/lib/modelhub/hub.db",
  upstream_url: "https://huggingface.co",
  endpoint: "http://127.0.0.1:8484",
  offline: false,
  hf_token_set: true,
  hf_token_source: "settings",
  max_downloads: 2,
  download_bytes_per_second: "0",
  download_hours: "",
  store_limit_bytes: String(88 * 1024 * GiB),
  ref_ttl_seconds: "60",
  cache_times: {
    visibility_ttl_seconds: "3600",
    access_ttl_seconds: "60",
    access_denied_ttl_seconds: "10",
    listing_ttl_seconds: "30",
    offline_grace_seconds: "604800",
  },
  keeping: [
    { key: "store.keep_free", values: ["5%, 200GiB"], source: "/etc/modelhub/modelhub.toml, line 12" },
    { key: "store.keep_used", values: ["10m"], source: "" },
    { key: "store.pin", values: ["Qwen/*", "datasets/HuggingFaceFW/*"], source: "MODELHUB_STORE_PIN" },
    { key: "store.never", values: [], source: "" },
    { key: "store.expire", values: [], source: "" },
  ],
});
