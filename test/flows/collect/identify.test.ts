// Whom an archive is of: by its name where that is certain, else by its own metadata, else not at all.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { identify, type Scope } from "../../../src/flows/collect/nodes/identify.ts";
import type { NodeDirectory } from "../../../src/helper/directory.ts";
import type { NodeFile } from "../../../src/helper/listing.ts";
import { UserError } from "../../../src/model/error.ts";
import { tar, type TarMember } from "../../archive/tars.ts";

const ALL: Scope = { namespace: undefined, pods: undefined };
const AMBIGUOUS = "checkpoint-web_team-a-app-1-2026-11-24T06:10:21Z.tar";

function spec(namespace: string, pod: string, container: string): string {
  const annotations = {
    "io.kubernetes.cri.sandbox-namespace": namespace,
    "io.kubernetes.cri.sandbox-name": pod,
    "io.kubernetes.cri.container-name": container,
  };
  return JSON.stringify({ annotations });
}

function archive(specDump: string, ...more: TarMember[]): Buffer {
  return tar(
    { name: "checkpoint/inventory.img", data: "x" },
    { name: "config.dump", data: "{}" },
    { name: "spec.dump", data: specDump },
    ...more,
  );
}

interface Node {
  /** By name. */
  readonly archives: Readonly<Record<string, Buffer>>;
  /** As an image with tar would find them; undefined: it has none. */
  readonly specs?: (name: string) => string | undefined;
}

/** The files of a node without a node; counts what is read. */
function fake({ archives, specs }: Node, instead: object = {}): { files: NodeDirectory; listed: NodeFile[]; reads: string[] } {
  const reads: string[] = [];
  const files = {
    ready: async () => await Promise.resolve({ transport: { kind: "http" } }),
    specs: async (some: readonly NodeFile[]) =>
      some.map(({ name }) => {
        if (specs !== undefined) reads.push(`spec ${name}`);
        return specs?.(name);
      }),
    read: async ({ name }: NodeFile, offset: number, length: number) => {
      reads.push(`read ${name}`);
      return archives[name]?.subarray(offset, offset + length) ?? Buffer.alloc(0);
    },
    ...instead,
  } as unknown as NodeDirectory;
  const listed = Object.entries(archives).map(([name, bytes]) => ({
    name,
    raw: Buffer.from(name),
    bytes: bytes.length,
    identity: "",
    closed: true,
  }));
  return { files, listed, reads };
}

async function identified(t: TestContext, node: Node, scope = ALL): Promise<{ of: Record<string, string>; reads: string[] }> {
  const { files, listed, reads } = fake(node);
  const found = await identify(files, listed, scope, t.signal);
  const of = [...found].map(([{ name }, { namespace, pod, container }]) => [name, `${namespace ?? "?"}/${pod ?? "?"}/${container ?? "?"}`]);
  return { of: Object.fromEntries(of) as Record<string, string>, reads };
}

test("a certain name is not looked into, nor one that cannot matter", async (t) => {
  const certain = "checkpoint-web_prod-app-2026-11-24T06:10:21Z.tar";
  const bytes = archive(spec("x", "y", "z"));
  const all = await identified(t, { archives: { [certain]: bytes } });
  assert.deepEqual(all, { of: { [certain]: "prod/web/app" }, reads: [] });
  for (const scope of [
    { namespace: "default", pods: undefined },
    { namespace: undefined, pods: new Set(["other"]) },
  ])
    assert.deepEqual(await identified(t, { archives: { [AMBIGUOUS]: bytes } }, scope), { of: { [AMBIGUOUS]: "?/web/?" }, reads: [] });
});

test("the archive's metadata decide between the readings: by tar in the pod, by ranges without it", async (t) => {
  const bytes = archive(spec("team-a", "web", "app-1"));
  const byTar = await identified(t, { archives: { [AMBIGUOUS]: bytes }, specs: () => spec("team-a", "web", "app-1") });
  assert.deepEqual(byTar, { of: { [AMBIGUOUS]: "team-a/web/app-1" }, reads: [`spec ${AMBIGUOUS}`] });
  const byRange = await identified(t, { archives: { [AMBIGUOUS]: bytes } });
  assert.equal(byRange.of[AMBIGUOUS], "team-a/web/app-1");
  assert.ok(byRange.reads.length > 0);
});

test("metadata that contradict the name leave it open", async (t) => {
  for (const other of [
    spec("team-a", "db", "app-1"),
    spec("other", "web", "app-1"),
    spec("team", "web", "app-1"),
    "{}",
    "[]",
    '{"annotations": 5}',
  ])
    assert.equal((await identified(t, { archives: { [AMBIGUOUS]: archive(other) } })).of[AMBIGUOUS], "?/web/?", other);
});

test("a file of another name is whose its metadata say", async (t) => {
  const bytes = archive(spec("ns", "p", "c"));
  const { of } = await identified(t, { archives: { "backup.tar": bytes, "notes.txt": Buffer.alloc(2000, "x"), small: Buffer.from("x") } });
  assert.deepEqual(of, { "backup.tar": "ns/p/c", "notes.txt": "?/?/?", small: "?/?/?" });
});

test("what the pod's tar says is read as JSON, or not at all; the ranges decide then", async (t) => {
  const bytes = archive(spec("team-a", "web", "app-1"));
  for (const said of [
    `${spec("team", "web", "a-app-1")}${spec("team-a", "web", "app-1")}`,
    "not JSON",
    "{}",
    '{"annotations": {"io.kubernetes.cri.sandbox-namespace": "team-a"}}',
  ])
    assert.equal((await identified(t, { archives: { [AMBIGUOUS]: bytes }, specs: () => said })).of[AMBIGUOUS], "team-a/web/app-1", said);
});

test("of two specifications in an archive the last counts, as unpacking would leave it", async (t) => {
  const bytes = archive(spec("team", "web", "a-app-1"), { name: "spec.dump", data: spec("team-a", "web", "app-1") });
  assert.equal((await identified(t, { archives: { [AMBIGUOUS]: bytes } })).of[AMBIGUOUS], "team-a/web/app-1");
});

test("damaged, hostile and absurd archives tell nothing, and keep nobody from the others", async (t) => {
  const good = "checkpoint-ok_team-a-app-1-2026-11-24T06:10:21Z.tar";
  const bad: Record<string, Buffer> = {
    cut: archive(spec("team-a", "web", "app-1")).subarray(0, 1600),
    linked: tar({ name: "config.dump", data: "{}" }, { name: "spec.dump", type: "2", target: "/etc/passwd" }),
    absurd: tar({ name: "config.dump", data: "{}" }, { name: "spec.dump", data: "x", size: 2 ** 32 }),
    huge: tar({ name: "config.dump", data: "{}" }, { name: "spec.dump", data: `{"x":"${"y".repeat(3 << 20)}"}` }),
    empty: Buffer.alloc(4096),
  };
  const named = Object.fromEntries(
    Object.entries(bad).map(([key, bytes]) => [`checkpoint-${key}_team-a-app-1-2026-11-24T06:10:21Z.tar`, bytes]),
  );
  const { of } = await identified(t, { archives: { ...named, [good]: archive(spec("team-a", "ok", "app-1")) } });
  for (const key of Object.keys(bad)) assert.equal(of[`checkpoint-${key}_team-a-app-1-2026-11-24T06:10:21Z.tar`], `?/${key}/?`);
  assert.equal(of[good], "team-a/ok/app-1");
});

test("an answer that is too long is not asked for again", async (t) => {
  const specs = async (): Promise<never> => await Promise.reject(new UserError({ reason: "AnswerTooLong", message: "too long" }));
  const { files, listed, reads } = fake({ archives: { [AMBIGUOUS]: archive(spec("team-a", "web", "app-1")) } }, { specs });
  const found = await identify(files, listed, ALL, t.signal);
  assert.deepEqual([...found.values()], [{ namespace: "team-a", pod: "web", container: "app-1" }]);
  assert.ok(reads.length > 0);
});

test("a node that is lost ends it", async (t) => {
  const read = async (): Promise<never> => await Promise.reject(new UserError({ reason: "TunnelBroken", message: "gone" }));
  const { files, listed } = fake({ archives: { [AMBIGUOUS]: archive(spec("team-a", "web", "app-1")) } }, { read });
  await assert.rejects(identify(files, listed, ALL, t.signal), { reason: "TunnelBroken" });
});
