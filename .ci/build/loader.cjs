// Stands before kubectl-checkpoint.cjs in the executable: there, require() of a chunk reads an asset instead of a file.
require = ((builtin, main) => {
  const { getRawAsset } = builtin("node:sea");
  const { Script } = builtin("node:vm");
  const loaded = new Map([["./kubectl-checkpoint.cjs", main]]);
  return function require(id) {
    if (!id.startsWith("./")) return builtin(id);
    let module = loaded.get(id);
    if (module === undefined) {
      module = { exports: {} };
      loaded.set(id, module);
      const code = Buffer.from(getRawAsset(id)).toString();
      const script = new Script(`(function (exports, require, module, __filename) {${code}\n})`, { filename: id.slice(2) });
      script.runInThisContext()(module.exports, require, module, process.execPath);
    }
    return module.exports;
  };
})(require, module);
