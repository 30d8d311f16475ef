import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { systemStorage } from "../../../src/file/mod.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { type TestDatabase, withHandler } from "./support.ts";

const formType = { "content-type": "application/x-www-form-urlencoded" };

async function set(
  { ask }: TestDatabase,
  key: string,
  body: BodyInit,
  headers: HeadersInit = formType,
): Promise<Response> {
  return await ask("POST", `/set/${key}`, { body, headers });
}

async function valueOf({ ask }: TestDatabase, key: string): Promise<string | null> {
  const response = await ask("GET", `/get/${key}`);
  const text = await response.text();
  return response.status === 200 ? text : null;
}

Deno.test("POST x=hello answers hello, GET gives hello, and the export has it", async () => {
  await withHandler(async (test) => {
    const response = await set(test, "x", "value=hello");
    assertEquals([response.status, await response.text()], [200, "hello"]);
    assertEquals(await valueOf(test, "x"), "hello");
    await test.restart();
    assertEquals(await valueOf(test, "x"), "hello");
    const { exportDatabase } = await import("../../../src/database/mod.ts");
    const out = `${test.paths.map}.out`;
    exportDatabase(test.db, systemStorage(), out);
    assertEquals(Deno.readTextFileSync(`${out}/db.json`), '{"x":"hello"}');
  });
});

Deno.test("A missing key is 404, with the message of the original", async () => {
  await withHandler(async ({ ask }) => {
    const response = await ask("GET", "/get/nothing");
    assertEquals([response.status, await response.text()], [404, "404 page not found\n"]);
  });
});

Deno.test("The echo and the value are exactly what was sent, with nothing behind it", async () => {
  await withHandler(async (test) => {
    const raw = { "content-type": "text/plain" };
    for (const value of ["x", " x ", "x\r\ny\n", "\ufeffx", "a+b%20&value=c", "😀\u2028", "\0"]) {
      const response = await set(test, "k", value, raw);
      assertEquals(
        new TextDecoder("utf-8", { ignoreBOM: true }).decode(await response.bytes()),
        value,
      );
      const got = await test.ask("GET", "/get/k");
      assertEquals(await got.bytes(), new TextEncoder().encode(value));
    }
  });
});

Deno.test("Two POSTs through the handler are both stored", async () => {
  await withHandler(async (test) => {
    await set(test, "x", "value=1");
    await set(test, "x", "value=2");
    assertEquals(await valueOf(test, "x"), "2");
    assertEquals([...test.db.log.entries].map(({ value }) => value), ["1", "2"]);
  });
});

Deno.test("A POST without a value is 400 and stores nothing; value= stores the empty string", async () => {
  await withHandler(async (test) => {
    const none: [BodyInit | null, HeadersInit][] = [
      [null, {}],
      ["", { "content-type": "text/plain" }],
      ["", formType],
      ["other=1&values=2", formType],
      ["--b\r\nContent-Disposition: form-data; name=other\r\n\r\n1\r\n--b--\r\n", {
        "content-type": "multipart/form-data; boundary=b",
      }],
    ];
    for (const [body, headers] of none) {
      const response = await test.ask("POST", "/set/x", { body, headers });
      assertEquals(response.status, 400, await response.text());
    }
    assertEquals(await valueOf(test, "x"), null);
    for (const body of ["value=", "value", "a=1&value=&value=2"]) {
      assertEquals((await set(test, "x", body)).status, 200);
      assertEquals(await valueOf(test, "x"), "");
    }
    assertEquals((await test.ask("POST", "/set/y?value=")).status, 200);
    assertEquals(await valueOf(test, "y"), "");
  });
});

Deno.test("Query, urlencoded, multipart and raw bodies are accepted alike", async () => {
  await withHandler(async (test) => {
    const value = "ü 1+1=2 & <b>\r\n";
    const form = new FormData();
    form.set("other", "no");
    form.set("value", new Blob([value]), "file.txt");
    const encoded = encodeURIComponent(value);
    const ways: [string, RequestInit][] = [
      [`/set/k?a=b&value=${encoded}`, {}],
      ["/set/k", { body: `x=1&value=${encoded.replaceAll("%20", "+")}`, headers: formType }],
      ["/set/k", { body: `v%61lue=${encoded}`, headers: formType }],
      ["/set/k", { body: form }],
      ["/set/k", { body: value, headers: { "content-type": "application/octet-stream" } }],
      ["/set/k", { body: new TextEncoder().encode(value) }],
    ];
    for (const [index, [target, more]] of ways.entries()) {
      await set(test, "k", "value=before");
      const response = await test.ask("POST", target, more);
      assertEquals([index, response.status, await response.text()], [index, 200, value]);
      assertEquals(await valueOf(test, "k"), value);
    }
  });
});

Deno.test("A form field takes precedence over the query, and the query over a body that is not a form", async () => {
  await withHandler(async (test) => {
    await test.ask("POST", "/set/k?value=query", { body: "value=form", headers: formType });
    assertEquals(await valueOf(test, "k"), "form");
    await test.ask("POST", "/set/k?value=query", { body: "other=1", headers: formType });
    assertEquals(await valueOf(test, "k"), "query");
    const raw = { "content-type": "text/plain" };
    await test.ask("POST", "/set/k?value=query", { body: "raw", headers: raw });
    assertEquals(await valueOf(test, "k"), "query");
    await test.ask("POST", "/set/k", { body: "value=raw", headers: raw });
    assertEquals(await valueOf(test, "k"), "value=raw");
  });
});

Deno.test("Multipart values keep every byte, even beside files and text that resembles the boundary", async () => {
  await withHandler(async (test) => {
    const value = "\ufeff--b\r\n--bx\r\nend";
    const head = 'Content-Disposition: form-data; name="value"\r\nContent-Type: text/plain\r\n\r\n';
    const file = 'Content-Disposition: form-data; name="f"; filename="value"\r\n\r\n';
    const body = new Blob([
      `preamble\r\n--bound\r\n${file}`,
      new Uint8Array([0xff, 0xfe, 0x00]),
      `\r\n--bound\r\n${head}${value}\r\n--bound--\r\n`,
    ]);
    const headers = { "content-type": 'multipart/form-data; charset=x; boundary="bound"' };
    const response = await test.ask("POST", "/set/k", { body, headers });
    assertEquals([response.status, await response.bytes()], [200, new TextEncoder().encode(value)]);
    for (const broken of ["--bound\r\n", "nothing", `--bound\r\n${head}cut`]) {
      const refused = await test.ask("POST", "/set/k", { body: broken, headers });
      assertEquals(refused.status, 400, await refused.text());
    }
    const unnamed = { "content-type": "multipart/form-data" };
    assertEquals((await test.ask("POST", "/set/k", { body, headers: unnamed })).status, 400);
  });
});

Deno.test("HEAD is GET without the body; other methods are 405 with Allow", async () => {
  await withHandler(async (test) => {
    await set(test, "x", "value=hello");
    const get = await test.ask("GET", "/get/x");
    const head = await test.ask("HEAD", "/get/x");
    assertEquals([head.status, await head.text()], [200, ""]);
    assertEquals(head.headers.get("content-length"), "5");
    assertEquals(head.headers.get("etag"), get.headers.get("etag"));
    await get.body?.cancel();
    assertEquals((await test.ask("HEAD", "/get/none")).status, 404);
    const wrong: [string, string, string][] = [
      ["PUT", "/get/x", "GET, HEAD, OPTIONS"],
      ["DELETE", "/get/x", "GET, HEAD, OPTIONS"],
      ["POST", "/get/x", "GET, HEAD, OPTIONS"],
      ["GET", "/set/x", "POST, OPTIONS"],
      ["PATCH", "/set/x", "POST, OPTIONS"],
      ["POST", "/status", "GET, HEAD, OPTIONS"],
      ["POST", "/log", "GET, HEAD, OPTIONS"],
    ];
    for (const [method, target, allow] of wrong) {
      const response = await test.ask(method, target);
      assertEquals([response.status, response.headers.get("allow")], [405, allow], target);
      await response.body?.cancel();
    }
    const options = await test.ask("OPTIONS", "/get/x");
    assertEquals([options.status, options.headers.get("allow")], [200, "GET, HEAD, OPTIONS"]);
    assertEquals(await valueOf(test, "x"), "hello");
  });
});

Deno.test("A key is one segment of the path that is not empty and has no slash when it is decoded", async () => {
  await withHandler(async (test) => {
    for (
      const [encoded, key] of [
        ["a%20b", "a b"],
        ["%C3%BC", "ü"],
        ["%F0%9F%98%80", "😀"],
        [
          "a+b",
          "a+b",
        ],
        ["%3F%23", "?#"],
        ["%25zz", "%zz"],
        ["%00", "\0"],
        ["a;b=c", "a;b=c"],
      ]
    ) {
      assertEquals((await set(test, encoded as string, "value=1")).status, 200);
      assertEquals(await test.db.read(key as string), "1");
      assertEquals(await valueOf(test, encoded as string), "1");
    }
    for (const key of ["", "a%2Fb", "a/b", "%2F", "a/"]) {
      assertEquals((await set(test, key, "value=1")).status, 404, key);
      assertEquals((await test.ask("GET", `/get/${key}`)).status, 404, key);
    }
    for (const target of ["/", "/get", "/set", "/other/x", "//get/x", "/GET/x"]) {
      assertEquals((await test.ask("GET", target)).status, 404, target);
    }
    for (const key of ["%zz", "%ff", "%c3", "%"]) {
      assertEquals((await set(test, key, "value=1")).status, 400, key);
      assertEquals((await test.ask("GET", `/get/${key}`)).status, 400, key);
    }
  });
});

Deno.test("__proto__, constructor and toString are ordinary keys, and missing ones are 404", async () => {
  await withHandler(async (test) => {
    const keys = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"];
    for (const key of keys) assertEquals(await valueOf(test, key), null);
    for (const key of keys) await set(test, key, `value=of ${key}`);
    await test.restart();
    for (const key of keys) assertEquals(await valueOf(test, key), `of ${key}`);
    assertEquals(({} as Record<string, unknown>)["of __proto__"], undefined);
  });
});

Deno.test("A value that is not UTF-8 is 400, however it is sent, and nothing is replaced in it", async () => {
  await withHandler(async (test) => {
    const bytes = new Uint8Array([0xff, 0xfe]);
    const part = 'Content-Disposition: form-data; name="value"\r\n\r\n';
    const ways: [string, RequestInit][] = [
      ["/set/k?value=%ff%fe", {}],
      ["/set/k", { body: "value=%ff%fe", headers: formType }],
      ["/set/k", { body: "value=%zz", headers: formType }],
      ["/set/k", { body: new Blob(["value=", bytes]), headers: formType }],
      ["/set/k", { body: bytes }],
      ["/set/k", {
        body: new Blob([`--b\r\n${part}`, bytes, "\r\n--b--"]),
        headers: { "content-type": "multipart/form-data; boundary=b" },
      }],
    ];
    for (const [target, more] of ways) {
      const response = await test.ask("POST", target, more);
      assertEquals(response.status, 400, await response.text());
    }
    assertEquals(test.db.log.length, 0);
    await set(test, "k", "value=\ufffd");
    assertEquals(await valueOf(test, "k"), "\ufffd");
  });
});

Deno.test("A value that looks like HTML is served as plain text with nosniff", async () => {
  await withHandler(async (test) => {
    const echo = await set(test, "x", "<script>alert(1)</script>", { "content-type": "text/html" });
    const got = await test.ask("GET", "/get/x");
    const missing = await test.ask("GET", "/get/<script>");
    for (const response of [echo, got, missing]) {
      assertEquals(response.headers.get("content-type"), "text/plain; charset=utf-8");
      assertEquals(response.headers.get("x-content-type-options"), "nosniff");
    }
    assertEquals((await missing.text()).includes("script"), false);
    assertEquals(await got.text(), "<script>alert(1)</script>");
  });
});

Deno.test("A value of 16 MiB is stored; a body of one byte more is 413", async () => {
  await withHandler(async (test) => {
    const raw = { "content-type": "text/plain" };
    const largest = new Uint8Array(16 * 2 ** 20).fill(0x61);
    const stored = await set(test, "large", largest, raw);
    assertEquals([stored.status, (await stored.bytes()).length], [200, largest.length]);
    const more = new Uint8Array(largest.length + 1).fill(0x62);
    assertEquals((await set(test, "large", more, raw)).status, 413);
    // And without a header that announces the length.
    const chunks = Array.from({ length: 17 }, () => new Uint8Array(2 ** 20).fill(0x63));
    const streamed = ReadableStream.from(chunks);
    assertEquals((await set(test, "large", streamed, raw)).status, 413);
    await test.restart();
    assertEquals((await valueOf(test, "large"))?.length, largest.length);
    assertEquals(test.db.log.length, 1);
  });
});

Deno.test("A full disk is 507 and reported once, and the old state is served", async () => {
  const faults = new Faults();
  const storage = faultyStorage(systemStorage(), faults);
  await withHandler(async (test) => {
    await set(test, "x", "value=old");
    faults.failFrom("allocate", 1, "ENOSPC");
    const { newHandler } = await import("../../../src/database/http/mod.ts");
    const said: string[] = [];
    const events = { report: (_: string, event: string) => void said.push(event) };
    const handler = newHandler(test.db, { events });
    const post = () =>
      handler(
        new Request("http://localhost/set/x", { method: "POST", body: "v".repeat(200_000) }),
      );
    for (let round = 0; round < 3; round++) assertEquals((await post()).status, 507);
    assertEquals(await valueOf(test, "x"), "old");
    faults.heal();
    assertEquals((await post()).status, 200);
    assertEquals(said, [
      "disk full: rejecting writes",
      "disk space available: accepting writes",
    ]);
  }, { storage });
});

Deno.test("A database that is closed or failed answers 503 with Retry-After", async () => {
  await withHandler(async (test) => {
    await set(test, "x", "value=1");
    await test.db.close();
    for (const response of [await test.ask("GET", "/get/x"), await set(test, "x", "value=2")]) {
      assertEquals([response.status, response.headers.get("retry-after")], [503, "1"]);
      await response.body?.cancel();
    }
  });
});

Deno.test("GET /status is 200 and JSON, with numbers as decimal strings", async () => {
  await withHandler(async (test) => {
    await set(test, "x", "value=1");
    await test.db.log.appendEntry({ command: "SET", key: "y", value: "2", term: 2n ** 60n });
    const response = await test.ask("GET", "/status");
    assertEquals(response.status, 200);
    assertEquals(response.headers.get("content-type"), "application/json; charset=utf-8");
    const status = await response.json();
    const { state, keys, entries, committed, term, sync } = status;
    assertEquals(
      { state, keys, entries, committed, term, sync },
      {
        state: "serving",
        keys: "1",
        entries: "2",
        committed: "1",
        term: "1152921504606846976",
        sync: "interval",
      },
    );
    for (const value of Object.values(status)) assertEquals(typeof value, "string");
    const head = await test.ask("HEAD", "/status");
    assert(Number(head.headers.get("content-length")) > 50);
  });
});

Deno.test("GET /log gives the entries from an index on, in the original's shape, with exact terms", async () => {
  await withHandler(async (test) => {
    for (let index = 0; index < 5; index++) {
      await test.db.write(`${index}`, "<", { term: 2n ** 53n + BigInt(index) });
    }
    const text = async (target: string) => await (await test.ask("GET", target)).text();
    const entry = (index: number) =>
      `{"Command":"SET","Key":"${index}","Value":"\\u003c","Term":${2n ** 53n + BigInt(index)}}`;
    assertEquals(await text("/log"), `[${[0, 1, 2, 3, 4].map(entry).join(",")}]`);
    assertEquals(await text("/log?from=1&limit=2"), `[${entry(1)},${entry(2)}]`);
    assertEquals(await text("/log?limit=0"), "[]");
    assertEquals(await text("/log?from=5"), "[]");
    assertEquals(await text("/log?from=4&limit=10000"), `[${entry(4)}]`);
    const response = await test.ask("GET", "/log?from=4");
    assertEquals(response.headers.get("countd-log-length"), "5");
    assertEquals(response.headers.get("content-type"), "application/json; charset=utf-8");
    await response.body?.cancel();
    for (
      const query of ["from=-1", "from=x", "from=1.5", "limit=10001", "from=99999999999999999"]
    ) {
      assertEquals((await test.ask("GET", `/log?${query}`)).status, 400, query);
    }
  });
});

Deno.test("The ETag is equal for equal values, and a client that has the value gets 304", async () => {
  await withHandler(async (test) => {
    const echo = await set(test, "x", "value=1");
    const etag = echo.headers.get("etag") ?? "";
    assert(/^"[\w-]+"$/.test(etag), etag);
    await set(test, "y", "value=1");
    assertEquals((await test.ask("GET", "/get/y")).headers.get("etag"), etag);
    for (const header of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const response = await test.ask("GET", "/get/x", { headers: { "if-none-match": header } });
      assertEquals([response.status, await response.text()], [304, ""], header);
      assertEquals(response.headers.get("etag"), etag);
    }
    await set(test, "x", "value=2");
    const changed = await test.ask("GET", "/get/x", { headers: { "if-none-match": etag } });
    assertEquals([changed.status, await changed.text()], [200, "2"]);
    assertNotEquals(changed.headers.get("etag"), etag);
  });
});
