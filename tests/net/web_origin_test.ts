import { assertEquals, assertThrows } from "@std/assert";
import { RefusedRequestError, targetOf } from "../../src/net/web_origin.ts";

function ask(url: string, headers: Record<string, string>, listenHost: string) {
  return targetOf({ url, headers: new Headers(headers) }, listenHost);
}

Deno.test("The name that the server listens on is a known host, and a refusal names it", () => {
  const expected = { path: "/a/..//b", query: "c=%20" };
  for (const host of ["Counts.example", "counts.example:9", "127.0.0.1", "localhost"]) {
    assertEquals(ask(`http://${host}/a/..//b?c=%20`, { host }, "counts.Example"), expected);
  }
  const refused = (listenHost: string) =>
    assertThrows(
      () => ask("http://other.example/", { host: "other.example" }, listenHost),
      RefusedRequestError,
    ).message;
  const [before, after] = ["Unknown host other.example: ask by an IP address", " or by localhost"];
  assertEquals(refused("counts.example"), `${before}, by counts.example${after}`);
  for (const listenHost of ["0.0.0.0", "::", "localhost"]) {
    assertEquals(refused(listenHost), before + after);
  }
});

Deno.test("The host of the request line is checked as well as the header", () => {
  const host = "localhost";
  for (const url of ["http://evil.example/a", "a://evil.example", "http://evil.example?x"]) {
    assertEquals(assertThrows(() => ask(url, { host }, host), RefusedRequestError).status, 403);
  }
  // As with HTTP/2: without the header.
  assertThrows(() => ask("http://evil.example/a", {}, host), RefusedRequestError);
  for (const url of ["http://u@localhost/a", "*", "", "http:///a"]) {
    assertEquals(assertThrows(() => ask(url, { host }, host), RefusedRequestError).status, 400);
  }
  assertEquals(ask("http://localhost/a", {}, host), { path: "/a", query: "" });
});
