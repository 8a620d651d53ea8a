import { join, relative } from "node:path";
import { rolldown, type OutputChunk } from "rolldown";
import { messagesAsData } from "./messages.ts";
import { tableAsData } from "./table.ts";
import { trim } from "./trim.ts";
import { wasmAsData } from "./wasm.ts";

const root = join(import.meta.dirname, "../..");

/** The chunk that the others are loaded by. */
export const ENTRY = "command.cjs";

/** A file of CommonJS that loads others with require("./NAME"). */
export interface Chunk {
  readonly name: string;
  readonly code: string;
  /** Folders of the packages in node_modules whose code is in it. */
  readonly packages: readonly string[];
  /** The module that it is for, where it is loaded by a dynamic import; below the top of the repository. */
  readonly module: string | undefined;
  /** Names of the chunks that are loaded with it. */
  readonly imports: readonly string[];
}

/** The command as one small main and a chunk for every dynamic import; the same sources give the same bytes. */
export async function bundle(): Promise<Chunk[]> {
  const build = await rolldown({
    input: join(root, "cmd/kubectl-checkpoint.ts"),
    cwd: root,
    platform: "node",
    plugins: [tableAsData(), messagesAsData(), wasmAsData(), trim()],
    transform: {
      target: "node22",
      // undici's own sign that it is bundled: without its second, experimental parser.
      define: { esbuildDetection: "1" },
    },
    onLog: (level, log, handler) => {
      // yargs resolves the configuration that another one extends: ours has none.
      if (log.code === "EMPTY_IMPORT_META" && log.message.includes("yargs")) return;
      handler(level, log);
    },
  });
  const { output } = await build.generate({
    format: "cjs",
    // Names stay in stack traces, which -v=9 shows.
    minify: true,
    keepNames: true,
    comments: false,
    dynamicImportInCjs: false,
    entryFileNames: ENTRY,
    chunkFileNames: "[name].cjs",
    // What main imports is in main: every other file costs as much as it saves.
    codeSplitting: { groups: [{ name: "main", tags: ["$initial"] }] },
  });
  await build.close();
  return output
    .filter((file): file is OutputChunk => file.type === "chunk")
    .map(({ fileName, code, moduleIds, facadeModuleId, imports }) => ({
      name: fileName,
      code: code.replace(/^#!.*\n/, ""),
      module: facadeModuleId?.startsWith(root) ? relative(root, facadeModuleId) : undefined,
      imports: imports.filter((name) => name.endsWith(".cjs")),
      packages: [...new Set(moduleIds.flatMap((id) => packageOf(id) ?? []))],
    }));
}

/** Folders of all packages that have code in the chunks. */
export function packagesOf(chunks: readonly Chunk[]): string[] {
  return [...new Set(chunks.flatMap((chunk) => chunk.packages))];
}

function packageOf(id: string): string | undefined {
  return /.*[/\\]node_modules[/\\]((?:@[^/\\]+[/\\])?[^/\\]+)/.exec(id)?.[0];
}
