import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import type { Plugin } from "rolldown";

/** Puts yara-x's WebAssembly, compressed, in place of src/yara/module.ts, which reads it from node_modules. */
export function wasmAsData(): Plugin {
  return {
    name: "wasm-as-data",
    load: { filter: { id: /[/\\]src[/\\]yara[/\\]module\.ts$/ }, handler: async () => ({ code: await moduleCode(), moduleType: "js" }) },
  };
}

const CACHE = join(import.meta.dirname, "../../node_modules/.cache/kubectl-checkpoint");

async function moduleCode(): Promise<string> {
  const bytes = await readFile(fileURLToPath(new URL("yara_x_js_bg.wasm", import.meta.resolve("@virustotal/yara-x"))));
  const text = (await compressed(bytes)).toString("base64");
  return `import { brotliDecompressSync } from "node:zlib";
export const yaraModule = () => brotliDecompressSync(Buffer.from("${text}", "base64"));`;
}

/** Takes 15 s, which keep an archive of the release below 45 MB: done once. */
async function compressed(bytes: Buffer): Promise<Buffer> {
  const path = join(CACHE, `yara-x-${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}-${process.version}.br`);
  try {
    return await readFile(path);
  } catch {
    const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length, [constants.BROTLI_PARAM_QUALITY]: 10 };
    const made = brotliCompressSync(bytes, { params });
    await mkdir(CACHE, { recursive: true });
    const part = `${path}.${process.pid}`;
    await writeFile(part, made);
    await rename(part, path);
    return made;
  }
}
