// Errors of the API as people should read them. The hub answers with problem+json (RFC 9457); a lost network and a
// response that is not JSON become the same type, so that screens handle a single kind of failure.

export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    /** HTTP status; 0 when there was no response. */
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** The parts of the request that were wrong. */
    readonly fields: readonly string[] = [],
  ) {
    super(detail || title);
  }

  get isUnauthorized() {
    return this.status === 401;
  }
  get isNotFound() {
    return this.status === 404;
  }
  /** Whether there can be nothing at this address: its `field` is no name that exists. */
  isNoAddress(field: string) {
    return this.status === 400 && this.fields.includes(field);
  }
  get isUnreachable() {
    return this.status === 0;
  }
}

const titles: Record<number, string> = {
  400: "Invalid request",
  401: "Sign in to continue",
  403: "Access denied",
  404: "Not found",
  409: "Not possible right now",
  413: "Request too large",
  422: "Invalid request",
  429: "Too many requests",
  500: "Internal error",
  502: "Bad response from upstream",
  503: "Temporarily unavailable",
  504: "Upstream timed out",
  507: "Disk full",
};

/** Reads an error response. */
export async function problemOf(response: Response): Promise<ApiError> {
  const fallback = titles[response.status] ?? `The hub returned ${response.status}`;
  const text = await response.text().catch(() => "");
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const title = typeof body.title === "string" ? body.title : fallback;
    const detail = [body.detail, body.message, body.error].find((part) => typeof part === "string");
    const errors = Array.isArray(body.errors) ? body.errors : [];
    const fields = errors.map((error) => String(error?.field ?? ""));
    return new ApiError(response.status, title, (detail as string | undefined) ?? title, fields);
  } catch {
    return new ApiError(response.status, fallback, text.length > 0 && text.length < 300 ? text.trim() : fallback);
  }
}

/** The failure of a request that got no response at all. */
export function unreachable(): ApiError {
  return new ApiError(0, "Cannot reach the hub", "The hub is not responding. It may be stopped or restarting.");
}

/** A sentence for any thrown value. */
export function sentence(error: unknown): string {
  if (error instanceof Error) return error.message;
  return String(error);
}
