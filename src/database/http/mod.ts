/** The database over HTTP. */

export { type Handler, type HandlerOptions, newHandler } from "./handler.ts";
export { serveDatabase, type ServeOptions } from "./serve.ts";
