/** A strict reader of the Prometheus text format, version 0.0.4, that refuses what promtool refuses. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$/;

/** Families in the order of the text. Throws an Error that names the line. */
export function parsePrometheus(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("The text does not end with a line feed");
  const families = new Map<string, Family>();
  const helps = new Map<string, string>();
  let current: [string, Family] | null = null;
  for (const [index, line] of text.slice(0, -1).split("\n").entries()) {
    const refuse = (why: string) => new Error(`Line ${index + 1}, ${why}: ${line}`);
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (!NAME.test(name) || helps.has(name)) throw refuse("bad or second HELP");
      helps.set(name, rest);
    } else if (kind === "TYPE") {
      const help = helps.get(name);
      if (help === undefined || families.has(name)) throw refuse("TYPE without HELP or twice");
      if (!["counter", "gauge", "histogram"].includes(rest)) throw refuse("unknown type");
      current = [name, { type: rest, help, samples: [] }];
      families.set(...current);
    } else {
      const match = SAMPLE.exec(line);
      if (match === null || current === null) throw refuse("no sample");
      const [, sampleName = "", labels = "", value = ""] = match;
      if (!belongsTo(sampleName, current)) throw refuse("a sample of another family");
      if (!/^[-+]?(\d+(\.\d+)?(e[-+]?\d+)?|Inf)$|^NaN$/.test(value)) throw refuse("no number");
      const sample = { name: sampleName, labels: parseLabels(labels), value: Number(value) };
      const key = JSON.stringify([sampleName, sample.labels]);
      if (current[1].samples.some((one) => JSON.stringify([one.name, one.labels]) === key)) {
        throw refuse("the same series twice");
      }
      current[1].samples.push(sample);
    }
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function belongsTo(sample: string, [name, { type }]: [string, Family]): boolean {
  if (type !== "histogram") return sample === name;
  return [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample);
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/.exec(rest);
    if (match === null) throw new Error(`Bad labels: ${text}`);
    labels[match[1] as string] = match[2] as string;
    rest = rest.slice(match[0].length);
  }
  return labels;
}

function checkFamily(name: string, { type, samples }: Family): void {
  if (samples.length === 0) throw new Error(`${name} has no sample`);
  if (type === "counter" && samples.some(({ value }) => !(value >= 0))) {
    throw new Error(`${name} counts below zero`);
  }
  if (type !== "histogram") return;
  const buckets = samples.filter((sample) => sample.name.endsWith("_bucket"));
  const values = buckets.map(({ value }) => value);
  const bounds = buckets.map(({ labels }) => Number(labels["le"]?.replace("+Inf", "Infinity")));
  if (bounds.at(-1) !== Infinity) throw new Error(`${name} lacks the bucket +Inf`);
  for (let index = 1; index < buckets.length; index++) {
    if (!((bounds[index] as number) > (bounds[index - 1] as number))) {
      throw new Error(`${name}: bounds do not ascend`);
    }
    if ((values[index] as number) < (values[index - 1] as number)) {
      throw new Error(`${name}: buckets are not cumulative`);
    }
  }
  const count = samples.find((sample) => sample.name === `${name}_count`)?.value;
  if (count !== values.at(-1)) throw new Error(`${name}: count and bucket +Inf differ`);
}
