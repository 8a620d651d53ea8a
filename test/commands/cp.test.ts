// What the words of cp mean.
import assert from "node:assert/strict";
import { test } from "node:test";
import { verb as cp } from "../../src/commands/cp.ts";
import { copyCommand } from "../../src/commands/shared/copies.ts";
import { isNodeArchive } from "../../src/commands/shared/helper-pods.ts";
import { plain } from "../../src/model/phrase.ts";
import { requestOfLine } from "./running.ts";

test("the last word is DEST unless it is an archive; on Windows a path with a drive is DEST", () => {
  const { archives, destination } = requestOfLine(cp, "node1:a.tar node2:/var/lib/kubelet/checkpoints/b.tar evidence/");
  assert.deepEqual(
    archives.map(({ node, path }) => `${node} ${path}`),
    ["node1 /var/lib/kubelet/checkpoints/a.tar", "node2 /var/lib/kubelet/checkpoints/b.tar"],
  );
  assert.equal(destination, "evidence/");
  assert.equal(requestOfLine(cp, "node1:a.tar node2:b.tar").destination, undefined);
  for (const path of ["c:\\temp\\", "c:/temp", "C:\\temp", "\\\\server\\share\\", "evidence", "./a:b"])
    assert.equal(isNodeArchive(path, "win32"), false, path);
  for (const archive of ["node1:a.tar", "c:a.tar", "n.example.org:/var/lib/kubelet/checkpoints/a.tar"])
    assert.equal(isNodeArchive(archive, "win32"), true, archive);
  assert.equal(isNodeArchive("c:/var/lib/kubelet/checkpoints/a.tar", "linux"), true, "a node may be called c");
});

test("what is written to standard output is not removed from the node", () => {
  assert.throws(() => requestOfLine(cp, "node1:a.tar - --remove"), {
    reason: "Usage",
    exitCode: 2,
    message: "--remove and standard output cannot be used together: whether the reader stored the archive is unknown",
  });
  assert.equal(requestOfLine(cp, "node1:a.tar -").destination, "-");
});

test("the command that continues a copy has the flags that it was given, quoted for a shell", () => {
  const line =
    "node1:a.tar node2:b.tar to --remove --compress none --encrypt-to age1x --encrypt-to @keys --sign-key k.pem --timestamp http://tsa.example/ --custody c";
  const { archives, ...request } = requestOfLine(cp, line);
  assert.equal(
    plain(copyCommand(archives.slice(1), "/tmp/my evidence", request)),
    "kubectl checkpoint cp node2:/var/lib/kubelet/checkpoints/b.tar '/tmp/my evidence' --remove --compress none --encrypt-to age1x --encrypt-to @keys --sign-key k.pem --timestamp http://tsa.example/ --custody c",
  );
  const cluster =
    "--checkpoint-dir /data --helper-image i:1 --helper-namespace h --kubeconfig k --context c --namespace n --as-group g --as-group h --insecure-skip-tls-verify --request-timeout 1500ms";
  const all = requestOfLine(cp, `node1:a.tar ${cluster}`);
  const words = plain(copyCommand(all.archives, "to", all)).replace(/^kubectl checkpoint cp node1:\/data\/a.tar to /, "");
  const pasted = requestOfLine(cp, `node1:a.tar ${words}`);
  assert.deepEqual([pasted.settings, pasted.cluster], [all.settings, all.cluster]);
  const secret = requestOfLine(cp, "node1:a.tar --token hunter2");
  assert.match(plain(copyCommand(secret.archives, "to", secret)), / --token TOKEN$/);
  const other = requestOfLine(cp, "node1:a.tar --checkpoint-dir /data");
  assert.equal(plain(copyCommand(other.archives, "/tmp", other)), "kubectl checkpoint cp node1:/data/a.tar /tmp --checkpoint-dir /data");
});
