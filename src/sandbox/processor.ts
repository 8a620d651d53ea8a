import type { Archive } from "../archive/archive.ts";
import { oneEntry } from "../criu/entries.ts";
import { CpuinfoEntrySchema } from "../criu/gen/inventory_pb.ts";
import { CoreEntrySchema } from "../criu/gen/process_pb.ts";
import { registersOf } from "../criu/registers.ts";

/** What a processor of x86 may have. C libraries choose their functions by it, once, at the start of a process. */
export interface ProcessorFeature {
  /** In /proc/cpuinfo. */
  readonly flag: string;
  /** After "feature.node.kubernetes.io/cpu-cpuid.", where Node Feature Discovery labels nodes: only what it labels by default is here. */
  readonly label: string;
  /** In cpuinfo.img's capability, which has the words of CPUID as Linux does: 4 is 1:ECX, 9 is 7.0:EBX. */
  readonly word: 4 | 9;
  readonly bit: number;
}

const AVX: ProcessorFeature = { flag: "avx", label: "AVX", word: 4, bit: 28 };
const AVX512F: ProcessorFeature = { flag: "avx512f", label: "AVX512F", word: 9, bit: 16 };
/** https://github.com/torvalds/linux/blob/v6.12/arch/x86/include/asm/cpufeatures.h; labels: https://github.com/klauspost/cpuid */
const FEATURES: readonly ProcessorFeature[] = [
  AVX,
  { flag: "fma", label: "FMA3", word: 4, bit: 12 },
  { flag: "aes", label: "AESNI", word: 4, bit: 25 },
  { flag: "avx2", label: "AVX2", word: 9, bit: 5 },
  AVX512F,
  { flag: "avx512dq", label: "AVX512DQ", word: 9, bit: 17 },
  { flag: "avx512bw", label: "AVX512BW", word: 9, bit: 30 },
  { flag: "avx512vl", label: "AVX512VL", word: 9, bit: 31 },
];

/**
 * What the processor of the checkpoint had, as far as the archive shows: cpuinfo.img, which few have; else the registers, of which CRIU saves
 * those of AVX and AVX-512 wherever the processor has them. Throws a UserError where an image is damaged.
 */
export async function processorFeatures(archive: Archive): Promise<readonly ProcessorFeature[]> {
  const capability = (await oneEntry(archive, "cpuinfo.img", CpuinfoEntrySchema))?.x86Entry[0]?.capability;
  if (capability !== undefined && capability.length > 0)
    return FEATURES.filter(({ word, bit }) => (((capability[word] ?? 0) >>> bit) & 1) === 1);
  for (const name of archive.members.keys()) {
    const file = /^checkpoint\/(core-\d+\.img)$/.exec(name)?.[1];
    const core = file === undefined ? undefined : await oneEntry(archive, file, CoreEntrySchema);
    const registers = core === undefined ? undefined : registersOf(core, file ?? "");
    if (registers?.architecture !== "x86-64") continue;
    const { ymmhSpace = [], opmaskReg = [] } = registers.floating?.xsave ?? {};
    return [...(ymmhSpace.length > 0 ? [AVX] : []), ...(opmaskReg.length > 0 ? [AVX512F] : [])];
  }
  return [];
}
