/**
 * Plays the service manager: listens on the datagram socket that the argument names and prints every
 * notice as a line. A process of its own, for Deno offers such sockets only behind a flag.
 */
const path = Deno.args[0] as string;
const socket = Deno.listenDatagram({ transport: "unixpacket", path });
console.log("ready to listen");
for await (const [bytes] of socket) console.log(new TextDecoder().decode(bytes));
