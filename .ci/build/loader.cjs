// What the executable and the npm package start with (.ci/build/start.ts puts the constants BUILD and ENTRY before it): require() of a chunk,
// with the code that V8 made of it in an earlier run.
((builtin) => {
  "use strict";
  const { closeSync, constants, fstatSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } =
    builtin("node:fs");
  const { homedir } = builtin("node:os");
  const { join } = builtin("node:path");
  const { getRawAsset, isSea } = builtin("node:sea");
  const { Script } = builtin("node:vm");
  const { crc32 } = builtin("node:zlib");

  const alone = isSea();
  const uid = process.geteuid?.();
  const directory = cacheDirectory();
  const loaded = new Map();
  const compiled = new Map();

  function require(id) {
    if (!id.startsWith("./")) return builtin(id);
    let module = loaded.get(id);
    if (module === undefined) {
      module = { exports: {} };
      loaded.set(id, module);
      const name = id.slice(2);
      const path = join(__dirname, name);
      const code = alone ? Buffer.from(getRawAsset(name)).toString() : readFileSync(path, "utf8");
      const cachedData = directory && cached(name);
      const filename = alone ? name : path;
      const script = new Script(`(function (exports, require, module, __filename) {${code}\n})`, { filename, cachedData });
      if (cachedData === undefined || script.cachedDataRejected) compiled.set(name, script);
      script.runInThisContext()(module.exports, require, module, alone ? process.execPath : path);
    }
    return module.exports;
  }

  /** Of this user alone: what is there is run. With sudo, the home may be somebody else's. */
  function cacheDirectory() {
    if (process.env.NODE_DISABLE_COMPILE_CACHE) return undefined;
    try {
      const own = process.env.XDG_CACHE_HOME || homedir();
      if (uid !== undefined && statSync(own).uid !== uid) return undefined;
      const cache = process.env.XDG_CACHE_HOME || join(own, ".cache");
      return join(cache, "kubectl-checkpoint", `code-${BUILD}-${process.version}-${process.platform}-${process.arch}`);
    } catch {
      return undefined;
    }
  }

  /** V8 itself checks versions and lengths only: the sum is before the data. */
  function cached(name) {
    let file;
    try {
      file = openSync(join(directory, name), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
      const { uid: owner, mode } = fstatSync(file);
      if (uid !== undefined && (owner !== uid || (mode & 0o022) !== 0)) return undefined;
      const bytes = readFileSync(file);
      const data = bytes.subarray(4);
      return crc32(data) === bytes.readUInt32LE(0) ? data : undefined;
    } catch {
      return undefined;
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  function keep() {
    if (compiled.size === 0) return;
    try {
      if (mkdirSync(directory, { recursive: true, mode: 0o700 }) !== undefined) removeOld(join(directory, ".."));
      for (const [name, script] of compiled) write(join(directory, name), script.createCachedData());
    } catch {
      // A home that cannot be written: the next start takes as long as this one.
    }
  }

  function write(path, data) {
    const sum = Buffer.alloc(4);
    sum.writeUInt32LE(crc32(data));
    const part = `${path}.${process.pid}-${Date.now()}`;
    try {
      writeFileSync(part, Buffer.concat([sum, data]), { mode: 0o600, flag: "wx" });
      renameSync(part, path);
    } catch (error) {
      rmSync(part, { force: true });
      throw error;
    }
  }

  /** Of other builds, unless they are in use by turns with this one. */
  function removeOld(parent) {
    for (const name of readdirSync(parent)) {
      const path = join(parent, name);
      if (name.startsWith("code-") && Date.now() - statSync(path).mtimeMs > 7 * 86_400_000) rmSync(path, { recursive: true, force: true });
    }
  }

  if (directory !== undefined) process.on("exit", keep);
  require(ENTRY);
})(require);
