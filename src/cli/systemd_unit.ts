/** systemd units: one template for each daemon; the instance names the data directory. */

export const UNITS = ["write", "worker", "read", "serve"] as const;
export type UnitName = (typeof UNITS)[number];

const DESCRIPTIONS: Readonly<Record<UnitName, string>> = {
  write: "takes increments over TCP",
  worker: "folds commit logs into keyspaces",
  read: "answers by rank over TCP",
  serve: "write, worker and read in one service",
};

export interface UnitSettings {
  /** Absolute path of the executable. */
  readonly binary: string;
  /** Directory below which each instance has its data directory. */
  readonly root: string;
  readonly user: string;
}

/** The text of `countd-<name>@.service`. */
export function systemdUnit(name: UnitName, { binary, root, user }: UnitSettings): string {
  const lines = [
    `# countd-${name}@.service, made by: countd systemd ${name}`,
    `# ${DESCRIPTIONS[name]}; the data directory of instance %i is ${root}/%i.`,
    `# User ${user} must exist (useradd --system ${user}). All units of a directory run as one user.`,
    "",
    "[Unit]",
    `Description=countd ${name} on ${root}/%i`,
    "Documentation=man:countd(1)",
    "After=network.target",
    "",
    "[Service]",
    "Type=notify",
    "NotifyAccess=main",
    `ExecStart=${binary} ${name}`,
    `Environment=COUNTD_DATA=${root}/%i`,
    "# COUNTD_PORT=…, COUNTD_SYNC=… and so on: see countd config.",
    `EnvironmentFile=-/etc/countd/${name}-%i.env`,
    `User=${user}`,
    `Group=${user}`,
    "UMask=0077",
    ...stateLines(root),
    "Restart=on-failure",
    "RestartSec=1",
    "# A restart cures neither wrong usage nor corruption.",
    "RestartPreventExitStatus=2 6",
    "TimeoutStartSec=5min",
    "TimeoutStopSec=90",
    "WatchdogSec=120",
    "# The main process stops its own children in order.",
    "KillMode=mixed",
    "LimitNOFILE=65536",
    "",
    "# Hardening. MemoryDenyWriteExecute is left out: V8 compiles while it runs.",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectProc=invisible",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "RemoveIPC=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  ];
  return lines.join("\n") + "\n";
}

/** systemd makes directories below /var/lib itself; others must exist and be made writable. */
function stateLines(root: string): string[] {
  const state = /^\/var\/lib\/([^/].*)$/.exec(root)?.[1];
  return state === undefined
    ? [`ReadWritePaths=${root}`]
    : [`StateDirectory=${state} ${state}/%i`, "StateDirectoryMode=0700"];
}
