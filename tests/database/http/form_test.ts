import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  boundaryOf,
  decodeText,
  FormError,
  formField,
  multipartField,
  urlEncodedField,
} from "../../../src/database/http/form.ts";
import { inOneTurn, type Steps } from "../../../src/base/steps.ts";
import { threadTimeMs } from "../../../ffi/mod.ts";
import { Random, seedForTest } from "../../support/random.ts";

function randomText(random: Random): string {
  const parts = ["a", " ", "+", "%", "=", "&", "ü", "😀", "\r\n", "\n", "--", "\0", '"', "value"];
  return Array.from({ length: random.below(12) }, () => random.pick(parts)).join("");
}

Deno.test("Fields of queries and forms are those that the runtime's own parser finds", () => {
  const random = new Random(seedForTest("urlencoded fields"));
  for (let round = 0; round < 2000; round++) {
    const pairs = Array.from({ length: random.below(4) }, (): [string, string] => [
      random.pick(["value", "other", "v+a", randomText(random)]),
      randomText(random),
    ]);
    const encoded = new URLSearchParams(pairs).toString();
    const expected = new URLSearchParams(encoded).get("value");
    assertEquals(urlEncodedField(encoded, "value"), expected, encoded);
  }
});

Deno.test("Parts of multipart bodies are those that the runtime's own parser finds", async () => {
  const random = new Random(seedForTest("multipart fields"));
  for (let round = 0; round < 300; round++) {
    const form = new FormData();
    for (let part = random.below(4); part > 0; part--) {
      const name = random.pick(["value", "other", 'quo"ted']);
      // As a file the content stays byte for byte; as text the encoder changes line ends.
      if (random.chance(0.5)) form.append(name, new Blob([randomText(random)]), "value");
      else form.append(name, randomText(random));
    }
    const request = new Request("http://x", { method: "POST", body: form });
    const boundary = boundaryOf(request.headers.get("content-type") ?? "");
    const body = await request.bytes();
    const parsed = await new Response(body, {
      headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    }).formData();
    const value = parsed.get("value");
    const expected = value instanceof File ? await value.text() : value;
    assertEquals(inOneTurn(multipartField(body, boundary, "value")), expected);
  }
});

Deno.test("For any bytes the parsers find a field, find none, or refuse, and do nothing else", () => {
  const random = new Random(seedForTest("broken forms"));
  const body = new TextEncoder().encode(
    '--b\r\nContent-Disposition: form-data; name="value"\r\n\r\nü\r\n--b--\r\n',
  );
  let refused = 0;
  for (let round = 0; round < 5000; round++) {
    const broken = body.slice(0, random.between(0, body.length));
    for (let change = random.below(4); change > 0 && broken.length > 0; change--) {
      broken[random.below(broken.length)] = random.below(256);
    }
    try {
      const found = inOneTurn(multipartField(broken, "b", "value"));
      assert(found === null || typeof found === "string");
      urlEncodedField(new TextDecoder().decode(broken), "value");
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
      refused++;
    }
  }
  assert(refused > 100);
});

Deno.test("The thousandth field or part is found, the one after it is refused", () => {
  const part = (name: string) => `--b\r\nContent-Disposition: form-data; name=${name}\r\n\r\n1\r\n`;
  for (const [others, isFound] of [[999, true], [1000, false]] as const) {
    const form = "a%zz=1&".repeat(others) + "v%61lue=1";
    const body = new TextEncoder().encode(part("a").repeat(others) + part("value") + "--b--\r\n");
    for (
      const find of [
        () => urlEncodedField(form, "value"),
        () => inOneTurn(multipartField(body, "b", "value")),
      ]
    ) {
      if (isFound) assertEquals(find(), "1");
      else assertThrows(find, FormError, "No value among the first 1000");
    }
  }
});

Deno.test("A boundary of 70 bytes is taken, one of 71 is refused", () => {
  const type = (length: number) => `multipart/form-data; boundary="${"b".repeat(length)}"`;
  assertEquals(boundaryOf(type(70)), "b".repeat(70));
  assertThrows(() => boundaryOf(type(71)), FormError, "longer than 70 bytes");
});

Deno.test("A body that almost repeats its boundary takes no longer than any other", () => {
  const head = "\r\nContent-Disposition: form-data; name=other\r\n\r\n";
  const searchMs = (boundary: string) => {
    const body = new TextEncoder().encode(`--${boundary}${head}${"-".repeat(4 * 2 ** 20)}`);
    // The best of a few: another process may have the processor in between.
    return Math.min(...Array.from({ length: 5 }, () => {
      const start = performance.now();
      assertThrows(
        () => inOneTurn(multipartField(body, boundary, "value")),
        FormError,
        "does not follow",
      );
      return performance.now() - start;
    }));
  };
  const plainMs = searchMs("b");
  for (const boundary of ["x" + "-".repeat(69), "-".repeat(69) + "x"]) {
    const ms = searchMs(boundary);
    assert(ms < 8 * plainMs + 20, `${JSON.stringify(boundary)}: ${ms} ms against ${plainMs} ms`);
  }
});

Deno.test("A part without content, with or without a head, is an empty one", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const head = "Content-Disposition: form-data; name=value\r\n";
  for (const empty of [`--b\r\n${head}\r\n--b--`, `--b\r\n\r\n--b\r\n${head}\r\n\r\n--b--`]) {
    assertEquals(inOneTurn(multipartField(bytes(empty), "b", "value")), "");
  }
});

/** Runs all steps; returns the most milliseconds of one, in processor time. */
function longestStep(steps: Steps<unknown>): number {
  let longest = 0;
  while (true) {
    const startMs = threadTimeMs();
    let isDone = true;
    try {
      isDone = steps.next(false).done ?? false;
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
    }
    longest = Math.max(longest, threadTimeMs() - startMs);
    if (isDone) return longest;
  }
}

Deno.test("The largest body of any form is read in steps of a few milliseconds", () => {
  const length = 16 * 2 ** 20;
  const filled = (unit: string, start: string) =>
    new TextEncoder().encode(start + unit.repeat((length - start.length) / unit.length));
  const head = '--b\r\nContent-Disposition: form-data; name="value"\r\n\r\n';
  const form = function* (body: Uint8Array) {
    return yield* formField(yield* decodeText(body), "value");
  };
  for (
    const [what, steps] of [
      ["broken escapes", form(filled("%&", ""))],
      ["spaces", form(filled("+", "value="))],
      ["escapes", form(filled("%C3%BC", "value="))],
      ["letters", form(filled("ü", "value="))],
      ["a part", multipartField(filled("ü", head), "b", "value")],
      ["almost a boundary", multipartField(filled("\r\n--", head), "bx", "value")],
    ] as const
  ) {
    const longestMs = longestStep(steps);
    // It took 20 to 120 ms. The last step joins the text, which pauses of the collector may interrupt.
    assert(longestMs < 60, `${what}: ${longestMs} ms`);
  }
});

Deno.test("Text that is decoded in pieces is what it would be as a whole", () => {
  const random = new Random(seedForTest("long forms"));
  for (let round = 0; round < 6; round++) {
    const unit = random.pick(["a", "ü", "😀", "a+ü", "%", "\0", "é😀+%20"]);
    const value = "x".repeat(random.below(20)) + unit.repeat(1_100_000 / unit.length);
    const encoded = round % 2 === 0
      ? encodeURIComponent(value)
      : value.replaceAll("%", "%25").replaceAll("+", "%2b");
    assertEquals(urlEncodedField(`value=${encoded}`, "value") === value, true, unit);
    assertThrows(() => urlEncodedField(`value=${encoded}%c3`, "value"), FormError);
    const bytes = new TextEncoder().encode(value);
    assertEquals(inOneTurn(decodeText(bytes)) === value, true, unit);
    assertThrows(() => inOneTurn(decodeText(Uint8Array.of(...[0xc3]))), FormError);
  }
});
