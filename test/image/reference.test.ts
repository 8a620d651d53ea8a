import assert from "node:assert/strict";
import { test } from "node:test";
import { formatReference, isPublic, parseReference, pinned, serverOf } from "../../src/image/reference.ts";
import { UserError } from "../../src/model/error.ts";

const DIGEST = `sha256:${"a1".repeat(32)}`;

test("references as Docker reads them", () => {
  const cases: [string, string][] = [
    ["registry.local:5000/dumps/nginx:1", "registry.local:5000/dumps/nginx:1"],
    ["10.92.0.1:5000/x", "10.92.0.1:5000/x:latest"],
    ["localhost/x:y", "localhost/x:y"],
    ["[::1]:5000/x:y", "[::1]:5000/x:y"],
    ["nginx", "docker.io/library/nginx:latest"],
    ["team/nginx:2", "docker.io/team/nginx:2"],
    ["index.docker.io/team/nginx:2", "docker.io/team/nginx:2"],
    [`ghcr.io/a/b@${DIGEST}`, `ghcr.io/a/b@${DIGEST}`],
    [`ghcr.io/a/b:1@${DIGEST}`, `ghcr.io/a/b:1@${DIGEST}`],
    ["GHCR.io/a/b:1", "ghcr.io/a/b:1"],
  ];
  for (const [given, expected] of cases) assert.equal(formatReference(parseReference(given)), expected, given);
});

test("what is none is a usage error, whatever is wrong with it", () => {
  const wrong = [
    "",
    ":1",
    "reg.local/",
    "reg.local/Upper:1",
    "reg.local/a b",
    "reg.local/a:b:c",
    "reg.local/a@sha256:12",
    "https://reg.local/a",
    "a@b@c",
  ];
  wrong.push(
    `reg.local/${"a".repeat(256)}`,
    `reg.local/a:${"t".repeat(129)}`,
    "reg.local/../../etc:1",
    "reg.local/a?x=y",
    "reg local/a",
    "-x.local/a",
  );
  for (const text of wrong)
    assert.throws(
      () => parseReference(text),
      (error) => error instanceof UserError && error.exitCode === 2,
      text,
    );
});

test("public registries, and the server of Docker Hub", () => {
  for (const name of ["nginx", "quay.io/a/b", "ghcr.io/a/b", "eu.gcr.io/a/b", "docker.io/a/b"])
    assert.ok(isPublic(parseReference(name)), name);
  for (const name of ["ghcr.io:443/a", "QUAY.io:443/a", "eu.gcr.io:443/a", "index.docker.io:443/a"])
    assert.ok(isPublic(parseReference(name)), `${name}: with its port`);
  for (const name of ["localhost/a", "registry.local/a", "10.0.0.1:5000/a", "quay.io.evil.example/a", "[::1]:443/a"])
    assert.ok(!isPublic(parseReference(name)), name);
  assert.equal(serverOf(parseReference("nginx")), "registry-1.docker.io");
  assert.equal(pinned(parseReference("reg.local/a:1"), DIGEST), `reg.local/a@${DIGEST}`);
});
