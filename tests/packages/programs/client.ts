/** A program of a stranger: the client, at the ports of a running server. */

import { DEFAULT_SIZES, ReadClient, UsageError, WriteClient } from "@countd/countd";

const [writePort, readPort] = Deno.args.map(Number) as [number, number];
const hostname = "127.0.0.1";
const bytes = (text: string) => new TextEncoder().encode(text);

using writer = await WriteClient.connect({ hostname, port: writePort }, DEFAULT_SIZES);
for (const path of ["/", "/about", "/"]) await writer.increment(bytes("visits"), bytes(path), 1n);
const refused = await writer.increment(bytes("a\0b"), bytes("/"), 1n).catch((error) => error);
console.log(refused instanceof UsageError, await writer.finish());

using reader = await ReadClient.connect({ hostname, port: readPort }, DEFAULT_SIZES);
const { total, rows } = await reader.page(bytes("visits"), { offset: 0, length: 10 });
console.log(total, rows.map(({ key, value }) => `${new TextDecoder().decode(key)} ${value}`));
console.log(await reader.key(bytes("visits"), bytes("/about")));
