import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "rolldown";

const UNDICI = dirname(fileURLToPath(import.meta.resolve("undici")));
const YARGS = join(dirname(fileURLToPath(import.meta.resolve("yargs"))), "lib/platform-shims/esm.mjs");
const PREFIX = "\0trim:";
const MISSING = `throw new Error("not in this build: see .ci/build/trim.ts")`;

/**
 * Keeps out of the way to a first request what it does not use of two heavy libraries, by replacing some of the
 * imports between their modules. A name that a replacement lacks is an error of the build.
 */
export function trim(): Plugin {
  return {
    name: "trim",
    resolveId(id, importer = "", { kind }) {
      if (importer.startsWith(PREFIX)) return undefined;
      if (importer === YARGS && (id in UNUSED || id === "assert")) return PREFIX + id;
      // A facade for each kind of import: one that may be lazy stays so.
      return id === "undici" ? `${PREFIX}undici-${kind}` : undefined;
    },
    load(id) {
      if (!id.startsWith(PREFIX)) return undefined;
      const name = id.slice(PREFIX.length);
      const code = name.startsWith("undici-") ? undiciFacade() : name === "assert" ? ASSERT : stub(UNUSED[name] ?? []);
      return { code, moduleType: "js", moduleSideEffects: name.startsWith("undici-") };
    },
    transform: {
      filter: { id: /[/\\]node_modules[/\\]undici[/\\]lib[/\\]/ },
      // undici's modules do nothing to each other when they are loaded; its index does, see below.
      handler: (code, id) => ({ code: shortened(code, relative(UNDICI, id)), moduleSideEffects: false }),
    },
  };
}

/**
 * What yargs lays out its help with (src/cli/help.ts does that): string-width alone takes as long as Node.js takes to start.
 */
const UNUSED: Record<string, readonly string[]> = {
  cliui: ["default"],
  "string-width": ["default"],
  // It looks for a package.json above the working directory, to guess a version from it; where it throws, yargs goes on.
  "escalade/sync": ["default"],
};

/** Node.js loads its own module for it, some milliseconds' worth, for these alone. */
const ASSERT = `
  const ensure = (right, message) => { if (!right) throw new Error(message ?? "assertion failed"); };
  export const strictEqual = (a, b, message) => ensure(Object.is(a, b), message);
  export const notStrictEqual = (a, b, message) => ensure(!Object.is(a, b), message);`;

function stub(names: readonly string[]): string {
  return names.map((name) => `function unused_${name}() { ${MISSING}; }\nexport { unused_${name} as ${name} };`).join("\n");
}

/** undici's index without fetch, mocks, caches and interceptors. */
function undiciFacade(): string {
  const part = (path: string): string => JSON.stringify(join(UNDICI, "lib", path));
  const names = {
    Agent: "dispatcher/agent.js",
    Client: "dispatcher/client.js",
    Pool: "dispatcher/pool.js",
    ProxyAgent: "dispatcher/proxy-agent.js",
    Socks5ProxyAgent: "dispatcher/socks5-proxy-agent.js",
    buildConnector: "core/connect.js",
    errors: "core/errors.js",
  };
  return `
    import Dispatcher from ${part("dispatcher/dispatcher.js")};
    import { request, stream, pipeline, upgrade, connect } from ${part("api/index.js")};
    Object.assign(Dispatcher.prototype, { request, stream, pipeline, upgrade, connect });
    export { Dispatcher };
    ${Object.entries(names)
      .map(([name, path]) => `export { default as ${name} } from ${part(path)};`)
      .join("\n")}`;
}

const UNUSED_CALL = `(() => { ${MISSING}; })`;
/** What undici does when it is loaded for what no request of ours needs, and what stands there instead. */
const SHORTER: readonly (readonly [module: string, code: string, instead: string])[] = [
  // HTTP/2, which no connection of ours speaks, and forms, which none sends: a third of its code.
  ["lib/dispatcher/client.js", "require('./client-h2.js')", UNUSED_CALL],
  ["lib/dispatcher/client-h1.js", "require('../web/fetch/body.js')", `${UNUSED_CALL}()`],
  ["lib/core/request.js", "require('../web/fetch/formdata')", `${UNUSED_CALL}()`],
  ["lib/core/request.js", "require('../web/webidl')", `${UNUSED_CALL}()`],
  // A tree of all known headers, to find their names in lower case; what it does not find is made lower case.
  ["lib/core/util.js", "require('./tree')", "{ tree: { lookup() {} } }"],
];

const ASSERTING = "require('node:assert')";
const ENSURE = "((right, message) => { if (!right) throw new Error(message ?? 'assertion failed'); })";

function shortened(code: string, path: string): string {
  // Its modules call it, and nothing else of it.
  if (/\bassert\.\w/.test(code)) throw new Error(`undici's ${path} uses more of assert`);
  code = code.replaceAll(ASSERTING, ENSURE);
  for (const [module, old, instead] of SHORTER) {
    if (join(module) !== path) continue;
    if (!code.includes(old)) throw new Error(`undici's ${module} has no ${old} any more`);
    code = code.replace(old, instead);
  }
  return code;
}
