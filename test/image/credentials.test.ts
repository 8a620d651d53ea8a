// Runs on Linux and macOS only: its credential helpers are shell scripts.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { parseReference } from "../../src/image/reference.ts";
import { parseChallenges } from "../../src/image/registry/challenge.ts";
import { credentialFiles, findCredential } from "../../src/image/registry/credentials.ts";

const basic = (text: string): string => Buffer.from(text).toString("base64");

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function find(reference: string, env: NodeJS.ProcessEnv, given?: string) {
  const found = await findCredential(parseReference(reference), given, env);
  return found === undefined ? undefined : [found.username, found.password, found.identityToken];
}

test("Podman's files come before Docker's; the one that is named is the only one", () => {
  const env = { HOME: "/h", XDG_RUNTIME_DIR: "/r" };
  assert.deepEqual(credentialFiles(undefined, env), [
    "/r/containers/auth.json",
    "/h/.config/containers/auth.json",
    "/h/.docker/config.json",
  ]);
  assert.deepEqual(credentialFiles(undefined, { HOME: "/h", REGISTRY_AUTH_FILE: "/a.json", DOCKER_CONFIG: "/d" }), [
    "/a.json",
    "/d/config.json",
  ]);
  assert.deepEqual(credentialFiles("/x.json", env), ["/x.json"]);
});

test("auths: by registry, by repository the longest part first, in Docker's old form, passwords with colons", async (t) => {
  const home = folder(t);
  mkdirSync(join(home, ".docker"));
  const auths = {
    "reg.local:5000": { auth: basic("all:p:w") },
    "reg.local:5000/team": { auth: basic("team:secret") },
    "https://old.local/v1/": { username: "u", password: "p" },
    "https://index.docker.io/v1/": { auth: basic("hub:x") },
    "azure.local": { auth: basic("00000000-0000-0000-0000-000000000000:"), identitytoken: "tok" },
    "empty.local": {},
  };
  writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ auths }));
  const env = { HOME: home };
  assert.deepEqual(await find("reg.local:5000/a", env), ["all", "p:w", undefined]);
  assert.deepEqual(await find("reg.local:5000/team/a", env), ["team", "secret", undefined]);
  assert.deepEqual(await find("reg.local:5000/teamwork/a", env), ["all", "p:w", undefined]);
  assert.deepEqual(await find("old.local/a", env), ["u", "p", undefined]);
  assert.deepEqual(await find("nginx", env), ["hub", "x", undefined]);
  assert.deepEqual(await find("azure.local/a", env), ["00000000-0000-0000-0000-000000000000", "", "tok"]);
  assert.equal(await find("empty.local/a", env), undefined);
  assert.equal(await find("other.local/a", env), undefined);
});

test("credential helpers: one of a registry's own, one for all; a missing entry is none, a broken helper is told", async (t) => {
  const home = folder(t);
  const helper = (name: string, script: string): void => {
    writeFileSync(join(home, `docker-credential-${name}`), `#!/bin/sh\n${script}\n`);
    chmodSync(join(home, `docker-credential-${name}`), 0o755);
  };
  helper("own", `read -r server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"u-$server\\",\\"Secret\\":\\"s\\"}"`);
  helper(
    "all",
    `read -r server; [ "$server" = known.local ] || { echo credentials not found in native keychain; exit 1; }; echo '{"Username":"<token>","Secret":"idtok"}'`,
  );
  helper("broken", "echo 'no keychain here' >&2; exit 1");
  const config = join(home, "config.json");
  writeFileSync(
    config,
    JSON.stringify({ credHelpers: { "own.local": "own", "bad.local": "broken", "gone.local": "absent" }, credsStore: "all" }),
  );
  const env = { PATH: `${home}:${process.env["PATH"]}`, HOME: home };
  assert.deepEqual(await find("own.local/a", env, config), ["u-own.local", "s", undefined]);
  assert.deepEqual(await find("known.local/a", env, config), ["", "", "idtok"]);
  assert.equal(await find("unknown.local/a", env, config), undefined);
  await assert.rejects(find("bad.local/a", env, config), /docker-credential-broken failed/);
  await assert.rejects(find("gone.local/a", env, config), { why: "it is not in PATH" });
});

test("a file that was named must be readable; its content is in no error", async (t) => {
  const path = join(folder(t), "c.json");
  await assert.rejects(find("reg.local/a", {}, path), { reason: "RegistryConfigUnreadable" });
  writeFileSync(path, '{"auths": {"reg.local": {"auth": "c2VjcmV0"');
  await assert.rejects(
    find("reg.local/a", {}, path),
    (error: Error & { why?: string }) => error.why === "it is not JSON" && !error.message.includes("c2V"),
  );
});

test("challenges: several, quoted, with commas inside; nonsense is none", () => {
  assert.deepEqual(parseChallenges('Bearer realm="https://a/token",service="reg, \\"x\\"",scope="repository:a:pull,push"'), [
    { scheme: "bearer", parameters: { realm: "https://a/token", service: 'reg, "x"', scope: "repository:a:pull,push" } },
  ]);
  assert.deepEqual(
    parseChallenges(['Basic realm="r", Negotiate', "Bearer realm=x"]).map(({ scheme }) => scheme),
    ["basic", "negotiate", "bearer"],
  );
  for (const nothing of [undefined, "", "  ", '"', '="x"']) assert.deepEqual(parseChallenges(nothing), []);
});
