/**
 * A source file as the tidy rules see it: its imports, the names that it uses, its comments. It is read
 * from the syntax tree of `deno lint`, so that text in strings misleads no rule.
 */

export interface Place {
  readonly line: number;
}

export interface Import extends Place {
  /** As written. */
  readonly specifier: string;
  /** Path from the project root, or null for what lies outside the project (`node:`, `@std/`). */
  readonly target: string | null;
  /** Types alone, which are gone when the program runs. */
  readonly isOfTypes: boolean;
  /** The names that are taken; null for all of them, as by `import *` and `import()`. */
  readonly names: readonly string[] | null;
}

/** A value (no type) that a file offers. */
export interface Export extends Place {
  readonly name: string;
  /** Where it comes from, when this file only passes it on. */
  readonly from: { readonly target: string; readonly name: string } | null;
}

export interface Use extends Place {
  /** Source text, such as `Deno.dlopen` or `performance.now`; longest first. */
  readonly name: string;
}

export interface Call extends Place {
  /** Source text of what is called, such as `new Deno.Command`. */
  readonly callee: string;
  /** Source text of the arguments. */
  readonly args: readonly string[];
}

/** A comment, a string, or a piece of a template, with the line that it begins on. */
export interface Text extends Place {
  readonly text: string;
}

export interface SourceFile {
  /** From the project root, with forward slashes. */
  readonly path: string;
  readonly lineCount: number;
  /** Lines that hold more than comments and white space. */
  readonly codeLineCount: number;
  readonly imports: readonly Import[];
  readonly exports: readonly Export[];
  /** Files named in strings that end with `.ts`, such as a worker's, and by `@ts-types`. */
  readonly mentions: readonly string[];
  /** How often each identifier occurs in the file. */
  readonly identifiers: ReadonlyMap<string, number>;
  /** Member accesses. */
  readonly uses: readonly Use[];
  readonly calls: readonly Call[];
  readonly comments: readonly Text[];
  /** String literals, and the fixed parts of templates. */
  readonly strings: readonly Text[];
  /** Names of the properties in object literals. */
  readonly properties: readonly Use[];
  readonly hasDefaultExport: boolean;
  readonly castsToAny: readonly Place[];
  /** Names that break the house style, with what is expected. */
  readonly styleBreaks: readonly Use[];
}

const CONSTANT = /^[A-Z][A-Z\d]*(?:_[A-Z\d]+)*$/;
const FLAG = /^(?:is|has|are|was|may|must|can|needs|owns)[A-Z]/;

/** True for the value of a constant in capitals: numbers, text, patterns, bytes, and lists of them. */
function isConstantValue(node: Deno.lint.Node | null, text: string): boolean {
  switch (node?.type) {
    case "Literal":
    case "UnaryExpression":
    case "BinaryExpression":
      return true;
    case "ArrayExpression":
      return node.elements.every((element) => element?.type === "Literal");
    case "TSAsExpression":
      return isConstantValue(node.expression, text);
    case "CallExpression":
      return /^new TextEncoder\(\)\.encode\(/.test(text);
    default:
      return false;
  }
}

/** `path` is from the project root. */
export function readSource(path: string, text: string): SourceFile {
  const imports: Import[] = [];
  const exports: Export[] = [];
  const identifiers = new Map<string, number>();
  const mentions: string[] = [];
  const uses: Use[] = [];
  const calls: Call[] = [];
  const comments: Text[] = [];
  const strings: Text[] = [];
  const properties: Use[] = [];
  const castsToAny: Place[] = [];
  const styleBreaks: Use[] = [];
  let hasDefaultExport = false;
  let codeLineCount = 0;
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    lineStarts.push(at + 1);
  }
  const lineOf = (node: { range: Deno.lint.Range }) => {
    let low = 0;
    let high = lineStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((lineStarts[middle] as number) <= node.range[0]) low = middle;
      else high = middle;
    }
    return low + 1;
  };
  const mention = (file: string) => {
    mentions.push(new URL(file, `file:///${path}`).pathname.slice(1), file);
  };
  const addImport = (
    specifier: string,
    node: { range: Deno.lint.Range },
    names: readonly string[] | null,
    isOfTypes = false,
  ) => {
    const target = resolve(path, specifier);
    imports.push({ specifier, target, names, isOfTypes, line: lineOf(node) });
  };
  const rule: Deno.lint.Rule = {
    create({ sourceCode }) {
      const textOf = (node: Deno.lint.Node) => sourceCode.getText(node);
      const addCall = (
        node: Deno.lint.CallExpression | Deno.lint.NewExpression,
        callee: string,
      ) => calls.push({ callee, args: node.arguments.map(textOf), line: lineOf(node) });
      return {
        Program() {
          codeLineCount = countCodeLines(text, sourceCode.getAllComments());
          for (const comment of sourceCode.getAllComments()) {
            comments.push({ text: comment.value, line: lineOf(comment) });
            const types = /^ @ts-types="(\.[^"]*)"$/.exec(comment.value)?.[1];
            if (types !== undefined) mention(types);
          }
        },
        ImportDeclaration(node) {
          const named = node.specifiers.filter((one) => one.type === "ImportSpecifier");
          const all = named.length < node.specifiers.length;
          const names = named.map((one) => textOf(one.imported));
          const ofTypes = node.importKind === "type" ||
            named.length > 0 && !all && named.every((one) => one.importKind === "type");
          addImport(node.source.value, node, all ? null : names, ofTypes);
        },
        ExportAllDeclaration: (node) => addImport(node.source.value, node, null),
        ExportNamedDeclaration(node) {
          const target = node.source ? resolve(path, node.source.value) : null;
          if (node.source) addImport(node.source.value, node, [], node.exportKind === "type");
          for (const { local, exported, exportKind } of node.specifiers) {
            if (node.exportKind === "type" || exportKind === "type") continue;
            const from = target === null ? null : { target, name: textOf(local) };
            exports.push({ name: textOf(exported), from, line: lineOf(node) });
          }
          for (const name of declaredValues(node.declaration, textOf)) {
            exports.push({ name, from: null, line: lineOf(node) });
          }
        },
        ImportExpression(node) {
          if (node.source.type === "Literal") addImport(String(node.source.value), node, null);
        },
        TSImportType(node) {
          const specifier = /import\(\s*["']([^"']+)/.exec(textOf(node))?.[1];
          if (specifier !== undefined) addImport(specifier, node, [], true);
        },
        Identifier(node) {
          identifiers.set(node.name, (identifiers.get(node.name) ?? 0) + 1);
        },
        ExportDefaultDeclaration() {
          hasDefaultExport = true;
        },
        PrivateIdentifier(node) {
          identifiers.set(node.name, (identifiers.get(node.name) ?? 0) + 1);
        },
        TemplateElement(node) {
          strings.push({ text: node.cooked, line: lineOf(node) });
        },
        Literal(node) {
          if (typeof node.value === "string") {
            strings.push({ text: node.value, line: lineOf(node) });
          }
          if (typeof node.value !== "string" || !/^[\w./-]+\.ts$/.test(node.value)) return;
          mention(node.value);
        },
        MemberExpression(node) {
          uses.push({ name: textOf(node), line: lineOf(node) });
        },
        ForStatement(node) {
          if (node.init === null && node.test === null && node.update === null) {
            styleBreaks.push({ name: "for (;;): write while (true)", line: lineOf(node) });
          }
        },
        PropertyDefinition(node) {
          const isFlag = node.value?.type === "Literal" && typeof node.value.value === "boolean" ||
            node.typeAnnotation?.typeAnnotation.type === "TSBooleanKeyword";
          if (node.key.type === "PrivateIdentifier" && isFlag && !FLAG.test(node.key.name)) {
            styleBreaks.push({
              name: `#${node.key.name}: a flag is isX or hasX`,
              line: lineOf(node),
            });
          }
          if (node.accessibility === "private") {
            styleBreaks.push({ name: `private ${textOf(node.key)}: write #x`, line: lineOf(node) });
          }
        },
        MethodDefinition(node) {
          if (node.accessibility === "private" && node.kind !== "constructor") {
            styleBreaks.push({ name: `private ${textOf(node.key)}: write #x`, line: lineOf(node) });
          }
        },
        TSParameterProperty(node) {
          if (/^private\b/.test(textOf(node))) {
            styleBreaks.push({ name: `${textOf(node)}: write #x`, line: lineOf(node) });
          }
        },
        VariableDeclaration(node) {
          if (node.kind !== "const" || !/^(?:Program|ExportNamed)/.test(node.parent.type)) return;
          for (const { id, init } of node.declarations) {
            if (id.type !== "Identifier" || CONSTANT.test(id.name)) continue;
            if (init === null || !isConstantValue(init, textOf(init))) continue;
            styleBreaks.push({ name: `${id.name}: a constant is UPPER_CASE`, line: lineOf(node) });
          }
        },
        VariableDeclarator(node) {
          // `const { dlopen } = Deno` counts as `Deno.dlopen`.
          if (node.id.type !== "ObjectPattern" || node.init?.type !== "Identifier") return;
          for (const property of node.id.properties) {
            if (property.type !== "Property") continue;
            uses.push({ name: `${node.init.name}.${textOf(property.key)}`, line: lineOf(node) });
          }
        },
        CallExpression: (node) => addCall(node, textOf(node.callee)),
        NewExpression: (node) => addCall(node, `new ${textOf(node.callee)}`),
        Property(node) {
          properties.push({ name: textOf(node.key), line: lineOf(node) });
        },
        TSAsExpression(node) {
          if (node.typeAnnotation.type === "TSAnyKeyword") castsToAny.push({ line: lineOf(node) });
        },
      };
    },
  };
  Deno.lint.runPlugin({ name: "tidy", rules: { read: rule } }, `/${path}`, text);
  return {
    path,
    lineCount: lineStarts.length - (text.endsWith("\n") ? 1 : 0),
    codeLineCount,
    imports,
    exports,
    identifiers,
    mentions,
    uses,
    calls,
    comments,
    strings,
    properties,
    hasDefaultExport,
    castsToAny,
    styleBreaks,
  };
}

/** Each comment becomes its own line ends, so that code before and behind it counts by its line. */
function countCodeLines(
  text: string,
  comments: readonly { readonly range: Deno.lint.Range }[],
): number {
  let code = "";
  let at = 0;
  for (const { range: [start, end] } of comments) {
    code += text.slice(at, start) + text.slice(start, end).replace(/[^\n]+/g, " ");
    at = end;
  }
  return (code + text.slice(at)).split("\n").filter((line) => line.trim() !== "").length;
}

/** Names of the values that an exported declaration declares: no types, no interfaces. */
function declaredValues(
  declaration: Deno.lint.ExportNamedDeclaration["declaration"],
  textOf: (node: Deno.lint.Node) => string,
): string[] {
  switch (declaration?.type) {
    case "VariableDeclaration":
      return declaration.declarations.map(({ id }) => textOf(id).split(":")[0] as string);
    case "FunctionDeclaration":
    case "ClassDeclaration":
    case "TSEnumDeclaration":
      return declaration.id ? [textOf(declaration.id)] : [];
    default:
      return [];
  }
}

/** The path from the project root that a relative specifier names; null for any other. */
function resolve(from: string, specifier: string): string | null {
  if (!specifier.startsWith("./") && !specifier.startsWith("../")) return null;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
