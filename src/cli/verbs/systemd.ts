import { UsageError } from "../../base/errors.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { optionalChoiceArgument } from "../kit/argument.ts";
import { path, text } from "../kit/option.ts";
import { systemdUnit, UNITS } from "../systemd_unit.ts";
import { defineVerb } from "../verb.ts";

export const systemd = defineVerb({
  name: "systemd",
  summary: "print a systemd unit for a daemon",
  details: [
    "Prints a template unit; the name of an instance is the name of its data directory below --root. " +
    "Settings of one instance go into /etc/countd/VERB-INSTANCE.env.",
  ],
  positionals: { verb: optionalChoiceArgument("which daemon; serve where none is named", UNITS) },
  options: {
    binary: path({
      of: "file",
      summary: "the executable to start",
      placeholder: "FILE",
      defaultText: "this executable where it is compiled, else /usr/local/bin/countd",
      fromEnvironment: false,
    }),
    root: path({
      of: "directory",
      summary: "the directory of the data directories",
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
  answersJson: false,
  examples: [
    {
      command: "countd systemd serve > /etc/systemd/system/countd-serve@.service",
      meaning: "install it; then: systemctl enable --now countd-serve@main",
    },
    {
      command: "countd systemd write --user counter --root /srv/countd",
      meaning: "the write daemon alone, for another user and place",
    },
  ],
  run({ positionals, options, stdout }) {
    const own = Deno.build.standalone ? Deno.execPath() : "/usr/local/bin/countd";
    const binary = options.binary ?? own;
    for (const [name, value] of [["binary", binary], ["root", options.root]] as const) {
      // systemd would take a blank, a quote or a percent sign for something else.
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
    return Promise.resolve(EXIT_CODES.ok);
  },
});
