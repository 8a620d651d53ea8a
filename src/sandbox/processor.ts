import type { Archive } from "../archive/archive.ts";
import { oneEntry } from "../criu/entries.ts";
import { CoreEntrySchema } from "../criu/gen/process_pb.ts";
import { registersOf } from "../criu/registers.ts";

/**
 * Flags of /proc/cpuinfo that the processor of the checkpoint had, as far as its saved registers show: CRIU saves those of AVX and AVX-512
 * wherever the processor has them. A C library has chosen its functions by them, once, at the start of the process.
 */
export async function processorFlags(archive: Archive): Promise<string[]> {
  for (const name of archive.members.keys()) {
    const file = /^checkpoint\/(core-\d+\.img)$/.exec(name)?.[1];
    const core = file === undefined ? undefined : await oneEntry(archive, file, CoreEntrySchema);
    const registers = core === undefined ? undefined : registersOf(core, file ?? "");
    if (registers?.architecture !== "x86-64") continue;
    const { ymmhSpace = [], opmaskReg = [] } = registers.floating?.xsave ?? {};
    return [...(ymmhSpace.length > 0 ? ["avx"] : []), ...(opmaskReg.length > 0 ? ["avx512f"] : [])];
  }
  return [];
}
