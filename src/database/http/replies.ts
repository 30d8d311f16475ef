/** The replies of the handler. A value is always sent as plain text, whatever it looks like. */

import { createHash } from "node:crypto";

const nosniff = { "x-content-type-options": "nosniff" } as const;
const textHeaders = { ...nosniff, "content-type": "text/plain; charset=utf-8" } as const;
const jsonHeaders = {
  ...nosniff,
  "content-type": "application/json; charset=utf-8",
  "cache-control": "no-store",
} as const;

/** A reply with a message for a person. */
export function message(status: number, text: string, headers: HeadersInit = {}): Response {
  return new Response(text + "\n", { status, headers: { ...textHeaders, ...headers } });
}

export function notFound(): Response {
  return message(404, "404 page not found");
}

/** The value as it is, with nothing before or behind it. */
export function valueReply(request: Request, value: string): Response {
  const etag = etagOf(value);
  const headers = { ...textHeaders, "cache-control": "no-cache", etag };
  if (request.method !== "POST" && matches(request.headers.get("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers });
  }
  return body(request, value, headers);
}

export function jsonReply(request: Request, json: string, headers: HeadersInit = {}): Response {
  return body(request, json, { ...jsonHeaders, ...headers });
}

/** The body, or for HEAD only the headers, with the length of the body. */
function body(request: Request, text: string, headers: HeadersInit): Response {
  if (request.method !== "HEAD") return new Response(text, { headers });
  const length = new TextEncoder().encode(text).length;
  return new Response(null, { headers: { ...headers, "content-length": String(length) } });
}

/** The strong ETag of a value: equal tags mean equal bytes. */
export function etagOf(value: string): string {
  return `"${createHash("sha256").update(value).digest("base64url").slice(0, 27)}"`;
}

function matches(header: string | null, etag: string): boolean {
  if (header === null) return false;
  return header.split(",").some((each) => {
    const tag = each.trim();
    return tag === "*" || tag === etag || tag === `W/${etag}`;
  });
}
