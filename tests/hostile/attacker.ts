/**
 * One attacker against some ports, as a process of its own.
 *
 *     deno run -A attacker.ts NAME PORTS-AS-JSON
 *
 * Prints `ready` when all of its connections have begun, and goes on until it is killed.
 */

import { ATTACKERS } from "./attackers.ts";
import type { Port } from "./ports.ts";
import { pause } from "./raw.ts";

const [name, ports] = Deno.args;
const attacker = ATTACKERS.find((known) => known.name === name);
if (attacker === undefined) throw new Error(`No attacker is named ${name}`);

const attacked = JSON.parse(ports!) as Port[];
const peers = attacked.length === 1 ? attacker.peersAlone ?? attacker.peers : attacker.peers;
for (const port of attacked) {
  if (!attacker.against.includes(port.protocol)) continue;
  for (let peer = 0; peer < peers; peer++) {
    void attackForEver(port, peer);
    if (peer % 100 === 99) await pause(0);
  }
}
await pause(100);
console.log("ready");

async function attackForEver(port: Port, peer: number): Promise<void> {
  while (true) {
    // A server that turns an attacker away does well.
    await attacker!.attack(port, peer).catch(() => pause(20));
  }
}
