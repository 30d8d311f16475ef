import { choiceArgument } from "../kit/argument.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const completion = defineVerb({
  name: "completion",
  summary: "print a shell completion, or the man page",
  positionals: {
    what: choiceArgument("bash, zsh or fish for a completion; man for countd(1)", [
      "bash",
      "zsh",
      "fish",
      "man",
    ]),
  },
  options: {},
  examples: examplesOf({
    "source <(countd completion bash)": "load the completion into this bash",
    "countd completion man | man -l -": "read the man page",
  }),
  async run({ positionals, stdout, table }) {
    if (positionals.what === "man") {
      const { manPage } = await import("../kit/man_page.ts");
      stdout.write(manPage(table));
    } else {
      const { completionFor } = await import("../kit/completion.ts");
      stdout.write(completionFor(positionals.what, table));
    }
  },
});
