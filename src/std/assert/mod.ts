/**
 * The stand-in for `@std/assert`: same names, same signatures. Equality is that of
 * `node:util`, a little stricter than the real one's: 0 and -0 differ, and so do an object with and
 * one without a prototype. What passes here passes there.
 */

import { isDeepStrictEqual } from "node:util";
import nodeAssert from "node:assert";

/** Thrown by every assertion here. */
export class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

/** "Message: msg" or "Message." */
function withReason(message: string, msg: string | undefined): string {
  return message + (msg ? `: ${msg}` : ".");
}

/** Throws unless the expression is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Deep equality. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new AssertionError(
    `${withReason("Values are not equal", msg)}\n${difference(actual, expected)}`,
  );
}

/** Deep inequality. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!isDeepStrictEqual(actual, expected)) return;
  throw new AssertionError(
    withReason(`Expected actual: ${show(actual)} not to be: ${show(expected)}`, msg),
  );
}

export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(
    withReason(`Expected actual: "${actual}" to contain: "${expected}"`, msg),
  );
}

export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(
    withReason(`Expected actual: "${actual}" to match: "${expected}"`, msg),
  );
}

export function assertInstanceOf<E>(
  actual: unknown,
  expectedType: abstract new (...args: never[]) => E,
  msg = "",
): asserts actual is E {
  if (actual instanceof expectedType) return;
  const found = actual === null || actual === undefined
    ? String(actual)
    : typeof actual === "object"
    ? actual.constructor?.name ?? "Object"
    : typeof actual;
  throw new AssertionError(
    withReason(
      `Expected object to be an instance of "${expectedType.name}" but was "${found}"`,
      msg,
    ),
  );
}

/** Throws always. */
export function fail(msg?: string): never {
  throw new AssertionError(withReason("Failed assertion", msg));
}

/** `fn` must throw; with a class, an error of it whose message includes `msgIncludes`. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const expected = expectation(errorClassOrMsg, msgIncludes, msg);
  let error: unknown;
  try {
    fn();
  } catch (caught) {
    error = caught;
    checkError(error, expected);
    return error;
  }
  throw new AssertionError(withReason("Expected function to throw", expected.msg));
}

/** The promise of `fn` must be rejected; otherwise as `assertThrows`. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const expected = expectation(errorClassOrMsg, msgIncludes, msg);
  const thrown = withReason("Function throws when expected to reject", expected.msg);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (cause) {
    throw new AssertionError(thrown, { cause });
  }
  // The real one says so too when no promise came back.
  if (typeof promise?.then !== "function") throw new AssertionError(thrown);
  try {
    await promise;
  } catch (error) {
    checkError(error, expected);
    return error;
  }
  throw new AssertionError(withReason("Expected function to reject", expected.msg));
}

interface Expectation {
  readonly errorClass: ErrorClass<Error> | undefined;
  readonly msgIncludes: string | undefined;
  readonly msg: string | undefined;
}

function expectation(
  errorClassOrMsg: ErrorClass<Error> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): Expectation {
  return typeof errorClassOrMsg === "string"
    ? { errorClass: undefined, msgIncludes: undefined, msg: errorClassOrMsg }
    : { errorClass: errorClassOrMsg, msgIncludes, msg };
}

function checkError(error: unknown, { errorClass, msgIncludes, msg }: Expectation): void {
  if (errorClass === undefined) return;
  if (!(error instanceof Error)) {
    throw new AssertionError(withReason("A non-Error object was thrown", msg), { cause: error });
  }
  const fits: boolean = error instanceof errorClass;
  if (!fits) {
    throw new AssertionError(
      withReason(
        `Expected error to be instance of "${errorClass.name}", but was ` +
          `"${error.constructor.name}" (${error.message})`,
        msg,
      ),
      { cause: error },
    );
  }
  if (msgIncludes && !error.message.includes(msgIncludes)) {
    throw new AssertionError(
      withReason(
        `Expected error message to include ${JSON.stringify(msgIncludes)}, ` +
          `but got ${JSON.stringify(error.message)}`,
        msg,
      ),
      { cause: error },
    );
  }
}

function show(value: unknown): string {
  return Deno.inspect(value, { depth: 10, iterableLimit: 100, strAbbreviateSize: 10_000 });
}

/** Long byte arrays are told by their first difference: a line by line comparison takes minutes. */
const BYTES_SHOWN_MAX = 256;

function difference(actual: unknown, expected: unknown): string {
  if (
    actual instanceof Uint8Array && expected instanceof Uint8Array &&
    actual.length + expected.length > BYTES_SHOWN_MAX
  ) {
    let at = 0;
    while (at < actual.length && actual[at] === expected[at]) at++;
    const around = (bytes: Uint8Array) => show(bytes.slice(Math.max(0, at - 8), at + 24));
    return `${actual.length} and ${expected.length} bytes, different from offset ${at} on; ` +
      `around it:\n${around(actual)}\n${around(expected)}`;
  }
  try {
    nodeAssert.deepStrictEqual(actual, expected);
  } catch (error) {
    return (error as Error).message;
  }
  return `${show(actual)}\n${show(expected)}`;
}
