// Errors of the API as people should read them. The hub answers with problem+json (RFC 9457); a network that is gone
// and an answer that is no JSON become the same type, so that screens know one kind of failure only.

export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    /** HTTP status; 0 when there was no answer. */
    readonly status: number,
    readonly title: string,
    readonly detail: string,
  ) {
    super(detail || title);
  }

  get isUnauthorized() {
    return this.status === 401;
  }
  get isNotFound() {
    return this.status === 404;
  }
  get isUnreachable() {
    return this.status === 0;
  }
}

const titles: Record<number, string> = {
  400: "The request was not understood",
  401: "Sign in to go on",
  403: "Not allowed",
  404: "Not found",
  409: "Not possible now",
  413: "Too large",
  422: "The request was not understood",
  429: "Too many requests",
  500: "The hub had an error",
  502: "Upstream gave no good answer",
  503: "Not available now",
  504: "Upstream took too long",
  507: "The disk is full",
};

/** Reads an answer that is not a success. */
export async function problemOf(response: Response): Promise<ApiError> {
  const fallback = titles[response.status] ?? `The hub answered ${response.status}`;
  const text = await response.text().catch(() => "");
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const title = typeof body.title === "string" ? body.title : fallback;
    const detail = [body.detail, body.message, body.error].find((part) => typeof part === "string");
    return new ApiError(response.status, title, (detail as string | undefined) ?? title);
  } catch {
    return new ApiError(response.status, fallback, text.length > 0 && text.length < 300 ? text.trim() : fallback);
  }
}

/** The failure of a request that got no answer at all. */
export function unreachable(): ApiError {
  return new ApiError(0, "No connection to the hub", "The hub does not answer. It may be stopped or restarting.");
}

/** A sentence for any thrown value. */
export function sentence(error: unknown): string {
  if (error instanceof Error) return error.message;
  return String(error);
}
