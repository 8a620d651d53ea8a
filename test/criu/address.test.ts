import assert from "node:assert/strict";
import { test } from "node:test";
import { endpoint, ipAddress } from "../../src/criu/files/sockets.ts";

test("addresses from the words of a little-endian machine", () => {
  assert.equal(ipAddress([16777343], false), "127.0.0.1");
  assert.equal(ipAddress([0, 0, 0, 0], false), "::");
  assert.equal(ipAddress([0, 0, 0, 0x01000000], false), "::1");
  assert.equal(ipAddress([0, 0, 4294901760, 16777343], false), "::ffff:127.0.0.1");
  assert.equal(ipAddress([0xb80d0120, 0, 0, 0x01000000], false), "2001:db8::1");
  assert.equal(ipAddress([0x000080fe, 0, 0xff000002, 0x010000fe], false), "fe80::200:ff:fe00:1");
});

test("… and of a big-endian one", () => {
  assert.equal(ipAddress([0x7f000001], true), "127.0.0.1");
  assert.equal(ipAddress([0, 0, 0xffff, 0x7f000001], true), "::ffff:127.0.0.1");
  assert.equal(ipAddress([0x20010db8, 0, 0, 1], true), "2001:db8::1");
});

test("RFC 5952: the longest row of zeros, the first of two, and no single one", () => {
  const words = (...hextets: number[]) =>
    Array.from({ length: 4 }, (_, at) => (((hextets[at * 2] ?? 0) << 16) | (hextets[at * 2 + 1] ?? 0)) >>> 0);
  assert.equal(ipAddress(words(1, 0, 0, 2, 0, 0, 0, 3), true), "1:0:0:2::3");
  assert.equal(ipAddress(words(1, 0, 0, 2, 3, 0, 0, 4), true), "1::2:3:0:0:4");
  assert.equal(ipAddress(words(1, 0, 2, 3, 4, 5, 6, 7), true), "1:0:2:3:4:5:6:7");
});

test("ports, and an odd number of words", () => {
  assert.equal(endpoint("::ffff:127.0.0.1", 9000), "[::ffff:127.0.0.1]:9000");
  assert.equal(endpoint("10.0.0.1", 80), "10.0.0.1:80");
  assert.equal(ipAddress([], false), "");
  assert.equal(ipAddress([1, 2], false), "0100000002000000");
});
