// The build puts a module with the same function in place of this one (.ci/build/wasm.ts), which has the bytes in it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** yara-x as WebAssembly. */
export function yaraModule(): Uint8Array<ArrayBuffer> {
  return readFileSync(fileURLToPath(new URL("yara_x_js_bg.wasm", import.meta.resolve("@virustotal/yara-x"))));
}
