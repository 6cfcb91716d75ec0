// Whether a text could name a repository; the hub itself decides what it means.

/** `org/name`, a URL, or an `hf download` command. */
export function looksLikeSource(text: string): boolean {
  const value = text.trim();
  return (
    /^[\w.-]+\/[\w.-]+$/.test(value) ||
    /^https?:\/\/\S+\/\S+/.test(value) ||
    /^(hf|huggingface-cli)\s+download\s+\S+/.test(value)
  );
}
