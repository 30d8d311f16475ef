/**
 * Acts as the service manager: listens on the datagram socket in its argument and prints each notice as
 * a line. It is a process of its own, because Deno offers such sockets only behind a flag.
 */
const path = Deno.args[0] as string;
const socket = Deno.listenDatagram({ transport: "unixpacket", path });
console.log("ready to listen");
for await (const [bytes] of socket) console.log(new TextDecoder().decode(bytes));
