import { UsageError } from "../../base/errors.ts";
import { choiceArgument, optional } from "../kit/argument.ts";
import { path, text } from "../kit/option.ts";
import { systemdUnit, UNITS } from "../systemd_unit.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const systemd = defineVerb({
  name: "systemd",
  summary: "print a systemd unit for a daemon",
  details: [
    "Prints a template unit. An instance is named after its data directory below --root, and reads " +
    "its settings from /etc/countd/VERB-INSTANCE.env.",
  ],
  positionals: { verb: optional(choiceArgument("the daemon; serve if left out", UNITS)) },
  options: {
    binary: path({
      of: "file",
      summary: "the executable to start",
      placeholder: "FILE",
      defaultText: "this executable if it is compiled, else /usr/local/bin/countd",
      fromEnvironment: false,
    }),
    root: path({
      of: "directory",
      summary: "the parent of the data directories",
      default: "/var/lib/countd",
      fromEnvironment: false,
    }),
    user: text({
      summary: "the user and group of the service",
      placeholder: "NAME",
      default: "countd",
      fromEnvironment: false,
    }),
  },
  examples: examplesOf({
    "countd systemd serve > /etc/systemd/system/countd-serve@.service":
      "install a unit; then run systemctl enable --now countd-serve@main",
    "countd systemd write --user counter --root /srv/countd":
      "print the unit of write for another user and place",
  }),
  run({ positionals, options, stdout }) {
    const own = Deno.build.standalone ? Deno.execPath() : "/usr/local/bin/countd";
    const binary = options.binary ?? own;
    for (const [name, value] of [["binary", binary], ["root", options.root]] as const) {
      // A blank, a quote or a percent sign has another meaning in a unit.
      if (!/^\/[^\s"'%\\]*$/.test(value)) {
        throw new UsageError(
          `Option --${name} must be an absolute path of plain characters, not "${value}"`,
        );
      }
    }
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(options.user)) {
      throw new UsageError(`Option --user must be the name of a user, not "${options.user}"`);
    }
    const root = options.root.replace(/\/+$/, "");
    stdout.write(systemdUnit(positionals.verb ?? "serve", { binary, root, user: options.user }));
    return Promise.resolve();
  },
});
