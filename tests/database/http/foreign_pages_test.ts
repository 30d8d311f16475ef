/** Requests that a web page can make a browser send, as raw bytes to real daemons. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type CountdProcess, runCountd, startCountd } from "../../support/process.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { within } from "../../support/wait.ts";

interface Reply {
  readonly status: number;
  readonly text: string;
}

/** Sends these bytes and reads until the server closes. */
async function replyTo(port: number, request: string): Promise<Reply> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(request));
  const text = await within("the reply", new Response(connection.readable).text());
  return { status: Number(text.split(" ", 2)[1]), text };
}

function get(path: string, ...headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, ...headers, "Connection: close", "", ""].join("\r\n");
}

function post(path: string, body: string, ...headers: readonly string[]): string {
  const lengths = [`Content-Length: ${body.length}`, "Connection: close"];
  return [`POST ${path} HTTP/1.1`, ...headers, ...lengths, "", body].join("\r\n");
}

const FORM = "Content-Type: application/x-www-form-urlencoded";

/** Both daemons that speak HTTP, each on a port of its own, with a path that each answers. */
async function withBothServers(
  body: (servers: readonly { readonly port: number; readonly path: string }[]) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const ports = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];
    await using serve = startCountd(["serve", "--data", data, ...ports]);
    await serve.listening("read");
    await using db = startCountd(["db", "--data", data, "--port", "0"]);
    await body([
      { port: (await db.listening()).port, path: "/status" },
      { port: await metricsPort(serve), path: "/metrics" },
    ]);
    assertEquals([await db.stop(), await serve.stop()], [0, 0]);
    const { code, stderr } = await runCountd(["check", "--data", data]);
    assertEquals(code, 0, stderr);
  });
}

async function metricsPort(daemon: CountdProcess): Promise<number> {
  const match = await daemon.stderrLine(/metrics on \S+:(\d+)/);
  return Number(match[1]);
}

Deno.test("Requests that name an address or localhost are answered, and so are those without a Host", async () => {
  await withBothServers(async (servers) => {
    for (const { port, path } of servers) {
      const hosts = ["127.0.0.1", "192.0.2.7:80", "[::1]", "localhost", "LOCALHOST", "a.localhost"];
      for (const host of [...hosts, `localhost:${port}`, `[2001:db8::1]:${port}`, "localhost:"]) {
        const { status, text } = await replyTo(port, get(path, `Host: ${host}`));
        assertEquals(status, 200, `${host}: ${text}`);
      }
      assertEquals((await replyTo(port, `GET ${path} HTTP/1.0\r\n\r\n`)).status, 200);
    }
  });
});

Deno.test("An unknown host is refused, and the message lists the known names", async () => {
  await withBothServers(async (servers) => {
    for (const { port, path } of servers) {
      const names = [
        "evil.example",
        `evil.example:${port}`,
        "localhost.evil.example",
        "localhosts",
      ];
      const requests = [
        ...names.map((name) => get(path, `Host: ${name}`)),
        // The host of the request line takes precedence over the header.
        get(`http://evil.example${path}`, "Host: localhost"),
        get(path, "Host: evil.example", "Origin: http://evil.example"),
      ];
      for (const request of requests) {
        const { status, text } = await replyTo(port, request);
        assertEquals(status, 403, request);
        assertStringIncludes(text, "ask by an IP address or by localhost", request);
        assert(!text.includes("countd_build_info"), request);
      }
    }
  });
});

Deno.test("A Host header that is not a host is refused, and cannot choose the path", async () => {
  await withBothServers(async (servers) => {
    const [database] = servers;
    for (const { port, path } of servers) {
      const hosts = ["", "a b", "%%", "localhost:99999", "localhost:x", "a@localhost", "a,b", "é"];
      for (const host of [...hosts, `localhost${path}?`, "[::1", "localhost#", "x".repeat(300)]) {
        const { status, text } = await replyTo(port, get("/other", `Host: ${host}`));
        assertEquals(status, 400, `${host}: ${text}`);
      }
    }
    // A page cannot choose the Host header, but a proxy or an agent that obeys the page can.
    const port = database?.port ?? 0;
    const host = "Host: localhost/set/admin?value=pwned&";
    assertEquals((await replyTo(port, post("/set/x", "value=1", host, FORM))).status, 400);
    assertEquals((await replyTo(port, get("/get/admin", "Host: localhost"))).status, 404);
    assertEquals((await replyTo(port, get("/get/x", "Host: localhost"))).status, 404);
  });
});

Deno.test("A form of a foreign page is refused and stores nothing; one of the own origin is accepted", async () => {
  await withBothServers(async (servers) => {
    for (const { port, path } of servers) {
      const host = `127.0.0.1:${port}`;
      const own = await replyTo(port, get(path, `Host: ${host}`, `Origin: http://${host}`));
      assertEquals(own.status, 200, own.text);
      const foreign = [`http://127.0.0.1:1`, "null", `https://${host}`, `http://localhost:${port}`];
      for (const origin of [...foreign, "http://evil.example", "", `http://${host}/`]) {
        const headers = [`Host: ${host}`, `Origin: ${origin}`];
        const requests = [get(path, ...headers), post("/set/x", "value=1", ...headers, FORM)];
        for (const request of requests) {
          const { status, text } = await replyTo(port, request);
          assertEquals(status, 403, `${request}\n${text}`);
          assertEquals(/access-control-/i.test(text), false, text);
        }
      }
    }
    const port = servers[0]?.port ?? 0;
    assertEquals((await replyTo(port, get("/get/x", "Host: localhost"))).status, 404);
    const own = [`Host: localhost:${port}`, `Origin: http://localhost:${port}`];
    assertEquals((await replyTo(port, post("/set/x", "value=1", ...own, FORM))).status, 200);
    const port80 = ["Host: localhost:80", "Origin: http://localhost"];
    assertEquals((await replyTo(port, post("/set/x", "value=2", ...port80, FORM))).status, 200);
    assertStringIncludes((await replyTo(port, get("/get/x", "Host: localhost"))).text, "\r\n\r\n2");
  });
});
