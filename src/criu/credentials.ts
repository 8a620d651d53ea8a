import type { CredsEntry } from "./gen/process_pb.ts";

/** What a thread may do. */
export interface Credentials {
  readonly uid: UserIds;
  readonly gid: UserIds;
  readonly groups: readonly number[];
  readonly capabilities: {
    readonly effective: readonly string[];
    readonly permitted: readonly string[];
    readonly inheritable: readonly string[];
    readonly bounding: readonly string[];
    readonly ambient: readonly string[];
  };
  readonly noNewPrivileges: boolean;
  /** Of prctl(PR_SET_SECUREBITS), by name: "noroot", "keep-caps", … */
  readonly secureBits: readonly string[];
  /** Of SELinux or AppArmor; empty without one. */
  readonly profile: string;
}

export interface UserIds {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
  readonly filesystem: number;
}

export function credentials(entry: CredsEntry): Credentials {
  const { uid, euid, suid, fsuid, gid, egid, sgid, fsgid, groups, noNewPrivs, lsmProfile, secbits } = entry;
  return {
    uid: { real: uid, effective: euid, saved: suid, filesystem: fsuid },
    gid: { real: gid, effective: egid, saved: sgid, filesystem: fsgid },
    groups,
    capabilities: {
      effective: capabilityNames(entry.capEff),
      permitted: capabilityNames(entry.capPrm),
      inheritable: capabilityNames(entry.capInh),
      bounding: capabilityNames(entry.capBnd),
      ambient: capabilityNames(entry.capAmb),
    },
    noNewPrivileges: noNewPrivs !== 0,
    secureBits: SECURE_BITS.filter((_, bit) => (secbits >>> bit) & 1),
    profile: lsmProfile,
  };
}

/** By number, from linux/capability.h. */
const CAPABILITIES = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`.split(/\s/);

/** By bit, from linux/securebits.h. */
const SECURE_BITS = [
  "noroot",
  "noroot-locked",
  "no-setuid-fixup",
  "no-setuid-fixup-locked",
  "keep-caps",
  "keep-caps-locked",
  "no-cap-ambient-raise",
  "no-cap-ambient-raise-locked",
];

/** How many capabilities there are. */
export const ALL_CAPABILITIES: number = CAPABILITIES.length;

function capabilityNames(words: readonly number[]): string[] {
  const names: string[] = [];
  for (const [index, word] of words.slice(0, 2).entries()) {
    for (let bit = 0; bit < 32; bit += 1) {
      if ((word >>> bit) & 1) names.push(CAPABILITIES[index * 32 + bit] ?? String(index * 32 + bit));
    }
  }
  return names;
}
