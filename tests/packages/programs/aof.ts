/** A program of a stranger: an append-only file that it appends to and follows. */

import { Aof, createFile, systemStorage } from "@countd/countd/aof";

const [directory] = Deno.args as [string];
await using log = Aof.open(systemStorage(), `${directory}/events`, { geometry: createFile() });
const finished = Promise.withResolvers<string>();
let text = "";
log.subscribe({
  pollRead(event) {
    text += new TextDecoder().decode(event.tail);
    if (event.eof) finished.resolve(text);
    return event.end;
  },
  pollReadClosed() {},
});
log.write(new TextEncoder().encode("one "));
log.write(new TextEncoder().encode("two"));
log.sync();
log.finish();
console.log(await finished.promise, log.size);
