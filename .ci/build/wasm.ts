import { readFile } from "node:fs/promises";
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

async function moduleCode(): Promise<string> {
  const bytes = await readFile(fileURLToPath(new URL("yara_x_js_bg.wasm", import.meta.resolve("@virustotal/yara-x"))));
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length, [constants.BROTLI_PARAM_QUALITY]: 9 };
  const text = brotliCompressSync(bytes, { params }).toString("base64");
  return `import { brotliDecompressSync } from "node:zlib";
export const yaraModule = () => brotliDecompressSync(Buffer.from("${text}", "base64"));`;
}
