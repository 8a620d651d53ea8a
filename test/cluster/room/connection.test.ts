// Runs on Linux and macOS only: its kubeconfig is /dev/null.
// What the comparison with kubectl (test/kubectl-beside) does not reach.
import assert from "node:assert/strict";
import { test } from "node:test";
import { apiPath, ClockOffset } from "../../../src/cluster/connection.ts";
import { proxyFor } from "../../../src/cluster/proxy.ts";
import { connectTo, fakeApiserver } from "../../fakes.ts";

test("--request-timeout bounds a request, and says so", async (t) => {
  const server = await fakeApiserver(t, () => undefined);
  const connection = await connectTo(t, server, { requestTimeoutMs: 100 });
  await assert.rejects(connection.call({ path: "/x" }), {
    reason: "RequestTimedOut",
    message: /no answer to GET http:\S+\/x within 0\.1 s/,
  });
});

test("NO_PROXY as client-go reads it", () => {
  const env = (noProxy: string) => ({ HTTPS_PROXY: "http://proxy:3128", NO_PROXY: noProxy });
  const through = (server: string, noProxy: string) => proxyFor(new URL(server), undefined, env(noProxy)) !== undefined;
  assert.equal(through("https://api.example:6443", ""), true);
  for (const noProxy of ["api.example", ".example", "example", "*", "x, api.example:6443", "*.example"])
    assert.equal(through("https://api.example:6443", noProxy), false, noProxy);
  for (const noProxy of ["pi.example", "api.example:443", ".other", "10.0.0.0/8"])
    assert.equal(through("https://api.example:6443", noProxy), true, noProxy);
  assert.equal(through("https://10.92.0.1:6443", "10.92.0.0/16"), false);
  assert.equal(through("https://[fd00::1]:6443", "fd00::/8"), false);
  for (const noProxy of ["[fd00::1]:6443", "[fd00::1]", "fd00::1", "fd00:0::1"])
    assert.equal(through("https://[fd00::1]:6443", noProxy), false, noProxy);
  for (const noProxy of ["[fd00::1]:443", "[fd00::2]", "fd00::12"]) assert.equal(through("https://[fd00::1]:6443", noProxy), true, noProxy);
  assert.equal(through("https://[::1]:6443", ""), false);
  assert.equal(through("https://10.93.0.1:6443", "10.92.0.0/16,bad/99,10.92.0.0/x"), true);
  assert.equal(through("https://localhost:6443", ""), false, "this machine is never proxied");
  assert.equal(proxyFor(new URL("https://localhost"), "http://p", {})?.label, "http://p", "unless the kubeconfig says so");
});

test("path segments cannot leave their place", () => {
  assert.equal(apiPath`/api/v1/namespaces/${"../x?y#z"}/pods/${"a/b"}`, "/api/v1/namespaces/..%2Fx%3Fy%23z/pods/a%2Fb");
});

test("the clock's offset is 0 unless the clocks cannot agree", () => {
  const at = (seconds: number): string => new Date(seconds * 1000).toUTCString();
  const same = new ClockOffset();
  same.observe(at(100), 100_900, 100_950);
  assert.equal(same.seconds, 0);
  const ahead = new ClockOffset();
  ahead.observe(at(107), 100_900, 100_950);
  assert.equal(ahead.seconds, 6.6);
  ahead.observe(at(108), 101_200, 101_250);
  assert.equal(ahead.seconds, 6.9, "every answer narrows it");
  ahead.observe("nonsense", 0, 0);
  assert.equal(ahead.seconds, 6.9);
  assert.equal(new ClockOffset().seconds, 0);
});
