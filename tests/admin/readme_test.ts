import { assertEquals } from "@std/assert";
import { METRICS } from "../../src/base/metrics.ts";

Deno.test("The README of admin lists every metric with its type, label and meaning", () => {
  const text = Deno.readTextFileSync(new URL("../../src/admin/README.md", import.meta.url));
  const listed = text.split("\n").filter((line) => line.startsWith("| `countd_"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const kept = Object.entries(METRICS).map(([name, definition]) => [
    `\`${name}\``,
    definition.type,
    "label" in definition ? definition.label : "",
    definition.help,
  ]);
  assertEquals(listed, kept);
});
