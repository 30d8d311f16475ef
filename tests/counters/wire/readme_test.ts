import { assertEquals } from "@std/assert";
import { fieldProblems, fieldTables as readTables, type Layout } from "../../tidy/field_tables.ts";
import * as wire from "../../../src/counters/wire/mod.ts";

/** `### Fields: <name>` tables of a room's README: name of the field → offset and size. */
function fieldTables(markdown: string): Map<string, [string, number, string][]> {
  const tables = new Map<string, [string, number, string][]>();
  let rows: [string, number, string][] | undefined;
  for (const line of markdown.split("\n")) {
    if (line.startsWith("#")) rows = undefined;
    const heading = line.match(/^### Fields: (.+)$/);
    if (heading) tables.set(heading[1]!, rows = []);
    const row = line.match(/^\| (\w+) +\| (\d+) +\| (\d+|–) +\|/);
    if (row) rows?.push([row[1]!, Number(row[2]), row[3]!]);
  }
  return tables;
}

Deno.test("The field tables of the README are the layouts of the code", () => {
  const readme = Deno.readTextFileSync(
    new URL("../../../src/counters/wire/README.md", import.meta.url),
  );
  const tables = fieldTables(readme);
  const { keyspaceSize, keySize } = wire.DEFAULT_SIZES;
  const request = wire.requestLayout(wire.DEFAULT_SIZES);
  const keyOffset = wire.WRITE_KEYSPACE_OFFSET + keyspaceSize;
  assertEquals([keyOffset + keySize, request.requestBytes, request.extendedBytes], [520, 272, 528]);
  assertEquals(tables.get("write message"), [
    ["increment", wire.WRITE_INCREMENT_OFFSET, "8"],
    ["keyspace", wire.WRITE_KEYSPACE_OFFSET, `${keyspaceSize}`],
    ["key", keyOffset, `${wire.writeMessageBytes(wire.DEFAULT_SIZES) - keyOffset}`],
  ]);
  assertEquals(tables.get("totals"), [
    ["accepted", wire.TOTALS_ACCEPTED_OFFSET, "8"],
    ["refused", wire.TOTALS_REFUSED_OFFSET, `${wire.TOTALS_BYTES - wire.TOTALS_REFUSED_OFFSET}`],
  ]);
  assertEquals(tables.get("read request"), [
    ["keyspace", 0, `${request.offsetOffset}`],
    ["offset", request.offsetOffset, "8"],
    ["length", request.lengthOffset, "8"],
    ["key", request.requestBytes, `${request.extendedBytes - request.requestBytes}`],
  ]);
  assertEquals(tables.get("reply head"), [
    ["total", wire.REPLY_TOTAL_OFFSET, "8"],
    ["rows", wire.REPLY_ROWS_OFFSET, "8"],
    ["bytes", wire.REPLY_BYTES_OFFSET, `${wire.REPLY_HEAD_BYTES - wire.REPLY_BYTES_OFFSET}`],
  ]);
  assertEquals(tables.get("reply row"), [
    ["value", wire.ROW_VALUE_OFFSET, "8"],
    ["keyLength", wire.ROW_KEY_LENGTH_OFFSET, "2"],
    ["key", wire.ROW_KEY_OFFSET, "–"],
  ]);
  assertEquals(tables.get("record"), [
    ["kind", wire.RECORD_KIND_OFFSET, "1"],
    ["flags", wire.RECORD_FLAGS_OFFSET, "1"],
    ["nameLength", wire.RECORD_NAME_LENGTH_OFFSET, "2"],
    ["keyspace", wire.RECORD_KEYSPACE_OFFSET, "2"],
    ["reserved", wire.RECORD_RESERVED_OFFSET, "2"],
    ["increment", wire.RECORD_INCREMENT_OFFSET, "8"],
    ["name", wire.RECORD_NAME_OFFSET, "–"],
  ]);
});

Deno.test("The field tables of hello and batches are the layouts of the code", () => {
  const readme = Deno.readTextFileSync(
    new URL("../../../src/counters/wire/README.md", import.meta.url),
  );
  const helloLayout = {
    magic: { offset: 0, size: wire.HELLO_MAGIC.length },
    zeros: { offset: 8, size: wire.HELLO_BYTES - 8 },
  };
  const layouts: [string, Layout, number][] = [
    ["hello", helloLayout, 520],
    ["welcome", wire.welcomeLayout, 64],
    ["introduction", wire.introductionLayout, 256],
    ["admission", wire.admissionLayout, 64],
    ["batch head", wire.batchHeadLayout, 24],
    ["batch answer", wire.batchAnswerLayout, 24],
  ];
  const tables = readTables(readme);
  for (const [name, layout, bytes] of layouts) {
    const table = tables.find((one) => one.name === name);
    assertEquals(fieldProblems("README", table ?? { name, rows: [] }, layout), []);
    assertEquals(Object.values(layout).reduce((sum, { size }) => sum + size, 0), bytes, name);
  }
});
