/**
 * The database over HTTP.
 *
 *     GET  /get/:key              200 the value · 404
 *     POST /set/:key              200 the value as it was stored · 400 · 413 · 503 · 507
 *     GET  /status                200 state and metrics as JSON
 *     GET  /log?from=&limit=      200 entries as JSON, in the original's shape
 *
 * HEAD is answered as GET without the body, OPTIONS with the methods, any other method with 405. A key is
 * one segment of the path. Decoded, it is not empty and has no slash. A request that names an unknown
 * host or comes from a foreign page is answered with 403 (`net/web_origin.ts`).
 */

import { type Clock, systemClock } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import { type Events, noEvents } from "../../base/events.ts";
import { RareEvents } from "../../base/rare_events.ts";
import { inTurns, type Steps } from "../../base/steps.ts";
import { RefusedRequestError, targetOf } from "../../net/mod.ts";
import {
  DatabaseBusyError,
  DatabaseFailedError,
  type DB,
  goEntry,
  InvalidKeyError,
  StorageFullError,
} from "../mod.ts";
import { type BodyFailure, BodyReader } from "./body.ts";
import {
  boundaryOf,
  decodePercent,
  decodeText,
  FormError,
  formField,
  multipartField,
  urlEncodedField,
} from "./form.ts";
import { jsonReply, message, notFound, valueReply } from "./replies.ts";

/** Answers one HTTP request. */
export type Handler = (request: Request) => Promise<Response>;

/** Options of `newHandler`. */
export interface HandlerOptions {
  /** Receives the events of the handler, such as a full disk. Default: they are dropped. */
  readonly events?: Events;
  /** The time. Default: the clock of the system. */
  readonly clock?: Clock;
  /** When it fires, bodies that are not whole yet are refused. */
  readonly signal?: AbortSignal;
  /** The name or address on which the server listens; requests may name it. Default: `localhost`. */
  readonly listenHost?: string;
}

/** Most entries in a `/log` reply if the request names no limit. */
export const LOG_LIMIT_DEFAULT = 1000;
/** Greatest limit that a request may name. */
export const LOG_LIMIT_MAX = 10_000;
/**
 * A `/log` reply ends early when it has this many characters; the client asks for the rest. It is made in one turn
 * of the event loop: with 16 Mi characters a turn took 0.5 s of processor time.
 */
const LOG_REPLY_UNITS_MAX = 512 * 2 ** 10;

/** How long a body is searched before other requests get a turn. */
const TURN_MS = 5;

/** Makes a handler, for `Deno.serve` and its like. The handler never throws. */
export function newHandler(db: DB, options: HandlerOptions = {}): Handler {
  const handler = new DatabaseHandler(db, options);
  return (request) => handler.handle(request);
}

class DatabaseHandler {
  readonly #db: DB;
  readonly #clock: Clock;
  readonly #events: Events;
  /** Events that each request can cause. */
  readonly #rareEvents: RareEvents;
  readonly #bodies: BodyReader;
  readonly #listenHost: string;
  #isFull = false;

  constructor(db: DB, options: HandlerOptions) {
    this.#db = db;
    const { events = noEvents, clock = systemClock } = options;
    this.#events = events;
    this.#rareEvents = new RareEvents(events, clock);
    this.#clock = clock;
    this.#bodies = new BodyReader(clock, options.signal);
    this.#listenHost = options.listenHost ?? "localhost";
  }

  async handle(request: Request): Promise<Response> {
    try {
      return await this.#route(request);
    } catch (error) {
      return this.#refusal(error);
    }
  }

  #route(request: Request): Promise<Response> | Response {
    const { path, query } = targetOf(request, this.#listenHost);
    if (path === "/status") return only(request, READ_METHODS, () => this.#status(request));
    if (path === "/log") return only(request, READ_METHODS, () => this.#log(request, query));
    const segments = path.split("/");
    const [before, verb, encoded] = segments;
    if (segments.length !== 3 || before !== "" || encoded === undefined) return notFound();
    if (verb !== "get" && verb !== "set") return notFound();
    const key = decodePercent(encoded);
    if (key === "" || key.includes("/")) return notFound();
    return verb === "get"
      ? only(request, READ_METHODS, () => this.#get(request, key))
      : only(request, WRITE_METHODS, () => this.#set(request, key, query));
  }

  async #get(request: Request, key: string): Promise<Response> {
    return valueReply(request, await this.#db.read(key));
  }

  async #set(request: Request, key: string, query: string): Promise<Response> {
    const reply = await this.#bodies.with(request, async (body) => {
      const type = request.headers.get("content-type") ?? "";
      const value = await inTurns(valueOf(type, body, query), {
        clock: this.#clock,
        turnMs: TURN_MS,
      });
      if (value === null) {
        return message(400, "No value: send a form field or query parameter `value`, or a body");
      }
      const stored = await this.#db.write(key, value);
      this.#reportFull(false);
      return valueReply(request, stored);
    });
    return typeof reply === "string" ? bodyRefusal(reply) : reply;
  }

  #status(request: Request): Response {
    const status = this.#db.status();
    // Numbers are sent as decimal strings, so that no reader rounds them.
    return jsonReply(
      request,
      JSON.stringify(
        { state: "serving", ...status },
        (key, value) => key !== "" && typeof value !== "string" ? String(value) : value,
      ),
    );
  }

  #log(request: Request, query: string): Response {
    const from = wholeParameter(query, "from", { default: 0, max: Number.MAX_SAFE_INTEGER });
    const limit = wholeParameter(query, "limit", {
      default: LOG_LIMIT_DEFAULT,
      max: LOG_LIMIT_MAX,
    });
    const pieces: string[] = [];
    let units = 0;
    const { log } = this.#db;
    for (const entry of log.entries.range(from, from + limit)) {
      const piece = goEntry(entry);
      units += piece.length;
      pieces.push(piece);
      if (units >= LOG_REPLY_UNITS_MAX) break;
    }
    return jsonReply(request, `[${pieces.join(",")}]`, { "countd-log-length": `${log.length}` });
  }

  #refusal(error: unknown): Response {
    if (error instanceof InvalidKeyError) return notFound();
    if (error instanceof RefusedRequestError) return message(error.status, error.message);
    if (error instanceof FormError || error instanceof UsageError) {
      return message(400, error.message);
    }
    if (error instanceof StorageFullError) {
      this.#reportFull(true);
      return message(507, error.message);
    }
    if (error instanceof DatabaseBusyError || error instanceof DatabaseFailedError) {
      return message(503, error.message, { "retry-after": "1" });
    }
    this.#rareEvents.report("error", "request failed", { reason: String(error) });
    return message(500, "Internal error: see the log of the server");
  }

  /** Reports a full disk once, and its end once. */
  #reportFull(isFull: boolean): void {
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    if (isFull) this.#events.report("error", "disk full: rejecting writes");
    else this.#events.report("info", "disk space available: accepting writes");
  }
}

const READ_METHODS = ["GET", "HEAD"];
const WRITE_METHODS = ["POST"];

function only(
  request: Request,
  methods: readonly string[],
  answer: () => Promise<Response> | Response,
): Promise<Response> | Response {
  if (methods.includes(request.method)) return answer();
  const allow = [...methods, "OPTIONS"].join(", ");
  if (request.method === "OPTIONS") return new Response(null, { headers: { allow } });
  return message(405, "Method Not Allowed", { allow });
}

/**
 * The value of a request: the field `value` of a form, else of the query, else a body that is not a
 * form. Null if there is none; an empty body does not count.
 */
function* valueOf(contentType: string, body: Uint8Array, query: string): Steps<string | null> {
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  const inQuery = urlEncodedField(query, "value");
  if (type === "application/x-www-form-urlencoded") {
    return (yield* formField(yield* decodeText(body), "value")) ?? inQuery;
  }
  if (type === "multipart/form-data") {
    if (body.length === 0) return inQuery;
    return (yield* multipartField(body, boundaryOf(contentType), "value")) ?? inQuery;
  }
  if (inQuery !== null) return inQuery;
  return body.length === 0 ? null : yield* decodeText(body);
}

function wholeParameter(
  query: string,
  name: string,
  range: { readonly default: number; readonly max: number },
): number {
  const text = urlEncodedField(query, name);
  if (text === null || text === "") return range.default;
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
  if (value <= range.max) return value;
  throw new FormError(`Invalid parameter ${name}: give a whole number from 0 to ${range.max}`);
}

function bodyRefusal(failure: BodyFailure): Response {
  switch (failure) {
    case "too large":
      return message(413, "The body is larger than 16 MiB");
    case "too slow":
      return message(408, "The body did not arrive in time");
    case "too many":
      return message(503, "Too many bodies at one time: try again", { "retry-after": "1" });
    case "gone":
      return message(400, "The body ended before it was whole");
  }
}
