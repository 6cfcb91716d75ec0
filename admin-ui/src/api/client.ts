// The one place that talks to the hub. A call names its path and its messages; the wire format is proto3 JSON with the
// original field names.
import {
  create,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { problemOf, unreachable } from "./problem";
import { adminToken, refuse } from "./session";

/** Headers of every request, with the admin token if there is one. */
export function headers(extra: Record<string, string> = {}): Record<string, string> {
  const token = adminToken();
  return token ? { ...extra, authorization: `Bearer ${token}` } : extra;
}

export type Query = Record<string, string | number | boolean | readonly (string | number)[] | undefined>;

/** `?a=1&b=2` of what is set; empty strings and undefined are left out, lists repeat their key. */
export function queryString(query: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(key, String(one));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

async function send(path: string, init: RequestInit): Promise<JsonValue> {
  const token = adminToken();
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (response.status === 401) refuse(token);
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return text ? (JSON.parse(text) as JsonValue) : {};
}

const reading = { ignoreUnknownFields: true } as const;

/** Reads one message. */
export async function get<D extends DescMessage>(
  schema: D,
  path: string,
  query: Query = {},
  signal?: AbortSignal,
): Promise<MessageShape<D>> {
  const json = await send(path + queryString(query), { headers: headers({ accept: "application/json" }), signal });
  return fromJson(schema, json, reading);
}

/** Sends a message and reads the response. */
export async function call<I extends DescMessage, O extends DescMessage>(
  method: "POST" | "PATCH" | "DELETE",
  path: string,
  input: I,
  value: MessageInitShape<I>,
  output: O,
  signal?: AbortSignal,
): Promise<MessageShape<O>> {
  const body = toJson(input, create(input, value), { useProtoFieldName: true }) as JsonObject;
  const json = await send(path, {
    method,
    headers: headers({ accept: "application/json", "content-type": "application/json" }),
    body: method === "DELETE" ? undefined : JSON.stringify(body),
    signal,
  });
  return fromJson(output, json, reading);
}

/** Whether the hub takes a token. Throws if the hub does not say. */
export async function takes(token: string): Promise<boolean> {
  const response = await fetch("/v1/overview", { headers: { authorization: `Bearer ${token}` } }).catch(() => {
    throw unreachable();
  });
  if (response.status === 401) return false;
  if (!response.ok) throw await problemOf(response);
  return true;
}

/** A model in a path: slashes separate segments, everything else is escaped. */
export function modelPath(model: string): string {
  return `/v1/models/${model.split("/").map(encodeURIComponent).join("/")}`;
}
