/**
 * Refuses HTTP requests that foreign web pages send. A page can make the browser of a visitor send requests
 * to any address that the browser reaches, loopback included. Two headers reveal such a request: `Origin`
 * names the page that sent it. `Host` names the page's own domain, if that was made to resolve to this
 * server (DNS rebinding).
 */

/** The part of a `Request` that `targetOf` reads. */
export interface WebRequest {
  readonly url: string;
  readonly headers: { get(name: string): string | null };
}

/** Path and query as they were sent: `new URL` would resolve keys such as `..`. */
export interface WebTarget {
  readonly path: string;
  readonly query: string;
}

/** Is thrown for a request that must not be answered. The message is for the client and says why. */
export class RefusedRequestError extends Error {
  override readonly name = "RefusedRequestError";
  constructor(readonly status: 400 | 403, message: string) {
    super(message);
  }
}

/** A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port. */
const AUTHORITY_PATTERN = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,255})(?::([0-9]{0,5}))?$/i;
/** No DNS name has this form: browsers take every name whose last label is a number for an address. */
const IPV4_PATTERN = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const URL_PATTERN = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/i;
const PORT_MAX = 65_535;

/**
 * Returns path and query of a request. Throws `RefusedRequestError` for an unknown host or a foreign page.
 * Known hosts are every IP address, `localhost`, names below it, and the name that the server listens on.
 *
 * The runtime puts the Host header in front of the path unchecked, so a header with a slash would become a
 * part of the path. A request without the header (HTTP/1.0) does not come from a browser.
 */
export function targetOf({ url, headers }: WebRequest, listenHost: string): WebTarget {
  const host = headers.get("host");
  if (host !== null) refuseUnknown(host, listenHost);
  // Differs from the header if the request line or HTTP/2 names a host, or if the header is missing.
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
  // `listenHost` has an IPv6 address without brackets.
  const isName = !isAlwaysKnown(listenHost) && !listenHost.includes(":");
  const known = `an IP address${isName ? `, by ${listenHost}` : ""} or by localhost`;
  throw new RefusedRequestError(403, `Unknown host ${host}: ask by ${known}`);
}

function isAlwaysKnown(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host.startsWith("[") ||
    IPV4_PATTERN.test(host);
}

function withoutPort80(origin: string): string {
  return origin.toLowerCase().replace(/:(?:80)?$/, "");
}
