/**
 * Which HTTP requests are answered. A web page can make the browser of a visitor send requests to any
 * address that the browser reaches, loopback too. Two headers give such a page away: `Origin`, if it says
 * where it comes from, and `Host`, if it made its own name lead here (DNS rebinding).
 */

/** The part of a `Request` that is read here. */
export interface WebRequest {
  readonly url: string;
  readonly headers: { get(name: string): string | null };
}

/** Path and query as they were sent: `new URL` would resolve keys such as `..`. */
export interface WebTarget {
  readonly path: string;
  readonly query: string;
}

/** The request is not answered; the message says why, and is for the client. */
export class RefusedRequestError extends Error {
  override readonly name = "RefusedRequestError";
  constructor(readonly status: 400 | 403, message: string) {
    super(message);
  }
}

/** A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. */
const AUTHORITY_PATTERN = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255})(?::([0-9]{0,5}))?$/i;
/** No DNS name has this form: browsers take each name whose last label is a number for an address. */
const IPV4_PATTERN = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const URL_PATTERN = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/i;
const PORT_MAX = 65_535;

/**
 * What a request asks. Throws `RefusedRequestError` unless it names a known host (any IP address,
 * `localhost`, a name below it, or the name that is listened on) and comes from no foreign page.
 *
 * The runtime puts the Host header in front of the path, unchecked: a header with a slash would be a path.
 * A request without the header (HTTP/1.0) comes from no browser.
 */
export function targetOf({ url, headers }: WebRequest, listenHost: string): WebTarget {
  const host = headers.get("host");
  if (host !== null) refuseUnknown(host, listenHost);
  // Differs from the header if the request line or HTTP/2 names a host, or there is no header.
  const [, authority = "", path = "", query = ""] = URL_PATTERN.exec(url) ?? [];
  if (authority !== host) refuseUnknown(authority, listenHost);
  const origin = headers.get("origin");
  if (origin !== null && withoutPort80(origin) !== withoutPort80(`http://${authority}`)) {
    throw new RefusedRequestError(403, "Requests from pages of another origin are refused");
  }
  return { path, query };
}

function refuseUnknown(authority: string, listenHost: string): void {
  const [, host, port] = AUTHORITY_PATTERN.exec(authority) ?? [];
  if (host === undefined || Number(port ?? "") > PORT_MAX) {
    throw new RefusedRequestError(400, "The Host header must be HOST or HOST:PORT");
  }
  if (isAlwaysKnown(host.toLowerCase()) || host.toLowerCase() === listenHost.toLowerCase()) return;
  // An IPv6 address is listened on without brackets.
  const isName = !isAlwaysKnown(listenHost) && !listenHost.includes(":");
  throw new RefusedRequestError(
    403,
    `Unknown host ${host}: ask by an IP address${
      isName ? `, by ${listenHost}` : ""
    } or by localhost`,
  );
}

function isAlwaysKnown(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host.startsWith("[") ||
    IPV4_PATTERN.test(host);
}

function withoutPort80(origin: string): string {
  return origin.toLowerCase().replace(/:(?:80)?$/, "");
}
