import type { Process } from "../../../criu/processes.ts";
import type { Holder } from "../../../model/inspection.ts";

/** Where something was found. Offsets and addresses are of its first byte. */
export type Location =
  | {
      readonly in: "memory";
      readonly process: Pick<Process, "pid" | "comm">;
      readonly address: bigint;
      /** "heap", "stack", "anonymous" or a path. */
      readonly region: string;
      /** From the beginning of the region, in bytes. */
      readonly offset: bigint;
      /** False for a part of shared memory that the process has not mapped: its address counts from its beginning. */
      readonly mapped: boolean;
    }
  | {
      readonly in: "files";
      /** In the container, or "memfd:NAME", "sysv:ID"; undefined for what is only in the archive, such as an engine's log. */
      readonly path: string | undefined;
      /** What has it, in the archive. */
      readonly member: string;
      readonly offset: bigint;
      /** Pids of who has it open, runs it or maps it; undefined where that was not looked for. */
      readonly users: readonly number[] | undefined;
    }
  | {
      readonly in: "queues";
      /** "pipe:[97115]", "unix:[2210]", "tcp 10.0.0.5:80 to 10.0.0.9:4711 received", "message queue 0x88 type 1". */
      readonly queue: string;
      /** The image that has it, in the archive. */
      readonly member: string;
      readonly offset: bigint;
      /** Who has descriptors of it. */
      readonly heldBy: readonly Holder[];
    };

/** Parts of an archive that can be searched. */
export type Scope = Location["in"];

export const SCOPES = ["memory", "files", "queues"] as const satisfies readonly Scope[];

/** What a stretch of bytes is of. */
export interface Place {
  /** For progress: "process 7 redis-server", a path. */
  readonly label: string;
  /** Of a byte of it, by its address or offset. Reads more of the archive where users are looked for. */
  locate(address: bigint): Location | Promise<Location>;
}
