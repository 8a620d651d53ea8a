import assert from "node:assert/strict";
import { test } from "node:test";
import { object, list, type Json } from "../../src/model/json.ts";
import { podOfArchive, TOKEN_PATH } from "../../src/restore/archived.ts";
import { denyAll } from "../../src/restore/isolation.ts";
import { restoredPod, RESTORED_LABEL, type RestoredPodRequest } from "../../src/restore/pod.ts";
import { plain } from "../../src/model/phrase.ts";

const IMAGE = "reg.local/dumps/web@sha256:1234";
const KEEP = { labels: false, annotations: false, liveness: false, readiness: false, startup: false };

/** As the API server has it: with all that it fills in. */
const ORIGINAL: Json = {
  metadata: {
    name: "web-7d9f",
    namespace: "shop",
    uid: "1",
    resourceVersion: "7",
    creationTimestamp: "2026-11-24T00:00:00Z",
    generateName: "web-",
    labels: { app: "web", "pod-template-hash": "7d9f" },
    annotations: { note: "kept?", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
    ownerReferences: [{ kind: "ReplicaSet", name: "web", controller: true }],
    finalizers: ["x"],
  },
  spec: {
    nodeName: "node1",
    priority: 7,
    preemptionPolicy: "Never",
    serviceAccount: "web",
    serviceAccountName: "web",
    hostname: "web",
    nodeSelector: { disk: "ssd" },
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "Exists" }] }, {}],
        },
      },
    },
    tolerations: [{ operator: "Exists" }],
    imagePullSecrets: [{ name: "pull" }],
    volumes: [
      { name: "kube-api-access-x7k2p", projected: { sources: [{ serviceAccountToken: {} }] } },
      { name: "conf", configMap: { name: "web-conf" } },
      { name: "scratch", emptyDir: {} },
      { name: "data", persistentVolumeClaim: { claimName: "web-data" } },
      { name: "vault", projected: { sources: [{ serviceAccountToken: { path: "token" } }] } },
    ],
    initContainers: [{ name: "init", image: "i:1", volumeMounts: [{ name: "kube-api-access-x7k2p", mountPath: TOKEN_PATH }] }],
    ephemeralContainers: [{ name: "debugger" }],
    containers: [
      {
        name: "web",
        image: "web:1",
        args: ["--serve"],
        env: [{ name: "A", value: "1" }],
        ports: [{ containerPort: 80, hostPort: 8080, hostIP: "" }],
        livenessProbe: { exec: {} },
        readinessProbe: { exec: {} },
        startupProbe: { exec: {} },
        lifecycle: { postStart: { exec: {} } },
        securityContext: { runAsUser: 5 },
        resources: { limits: { memory: "1Gi" } },
        volumeMounts: [
          { name: "conf", mountPath: "/etc/web" },
          { name: "kube-api-access-x7k2p", mountPath: TOKEN_PATH, readOnly: true },
        ],
      },
      {
        name: "proxy",
        image: "proxy:1",
        livenessProbe: { exec: {} },
        volumeMounts: [{ name: "kube-api-access-x7k2p", mountPath: TOKEN_PATH }],
      },
    ],
  },
  status: { phase: "Running" },
};

function restored(more: Partial<RestoredPodRequest> = {}) {
  const { pod, notes } = restoredPod({
    original: ORIGINAL,
    container: "web",
    image: IMAGE,
    command: ["/web", "--serve"],
    name: "web-restored",
    namespace: "shop",
    placement: { node: "node2", architecture: "amd64", candidates: undefined },
    keep: KEEP,
    setImages: new Map(),
    isolated: false,
    tokenMounted: false,
    keepHostPorts: false,
    ...more,
  });
  const spec = object(pod["spec"]);
  return { pod, spec, containers: list(spec["containers"]).map(object), notes: notes.map(plain) };
}

test("the restored container has the checkpoint's image and a whole command; all else stays as it was", () => {
  const [web] = restored().containers;
  assert.deepEqual(web, {
    name: "web",
    image: IMAGE,
    imagePullPolicy: "IfNotPresent",
    command: ["/web", "--serve"],
    env: [{ name: "A", value: "1" }],
    ports: [{ containerPort: 80, hostIP: "" }],
    lifecycle: { postStart: { exec: {} } },
    securityContext: { runAsUser: 5 },
    resources: { limits: { memory: "1Gi" } },
    volumeMounts: [{ name: "conf", mountPath: "/etc/web" }],
  });
});

test("nothing leads traffic or a controller to it, and nothing of the old object is in it", () => {
  const { pod, spec } = restored();
  const { labels, annotations, ...metadata } = object(pod["metadata"]);
  assert.deepEqual(metadata, { name: "web-restored", namespace: "shop" });
  assert.deepEqual(Object.keys(object(labels)), [RESTORED_LABEL]);
  assert.deepEqual(annotations, { "checkpoint.kubectl/origin": "shop/web-7d9f" });
  for (const key of ["priority", "preemptionPolicy", "serviceAccount", "ephemeralContainers", "nodeSelector"])
    assert.equal(spec[key], undefined, key);
  assert.equal(pod["status"], undefined);
  assert.deepEqual(
    [spec["serviceAccountName"], spec["hostname"], spec["imagePullSecrets"], spec["tolerations"]],
    ["web", "web", [{ name: "pull" }], [{ operator: "Exists" }]],
  );
});

test("kept where that was asked for", () => {
  const keep = { labels: true, annotations: true, liveness: true, readiness: true, startup: true };
  const { pod, containers } = restored({ keep, keepHostPorts: true });
  const metadata = object(pod["metadata"]);
  assert.equal(object(metadata["labels"])["app"], "web");
  assert.equal(object(metadata["annotations"])["note"], "kept?");
  assert.equal(object(metadata["annotations"])["kubectl.kubernetes.io/last-applied-configuration"], undefined);
  for (const probe of ["livenessProbe", "readinessProbe", "startupProbe"]) assert.ok(containers[0]?.[probe], probe);
  assert.deepEqual(containers[0]?.["ports"], [{ containerPort: 80, hostPort: 8080, hostIP: "" }]);
});

test("a word about everything that is different or may surprise", () => {
  const { notes } = restored();
  const expected = [
    /nodeSelector and node affinity is left out: node2/,
    /scratch \(emptyDir\) is empty/,
    /claim web-data itself/,
    /host ports \(8080\)/,
    /postStart hook of container web runs again/,
    /only container web is restored: proxy starts anew/,
    /init containers run again: init/,
    /ephemeral containers are left out: debugger/,
  ];
  for (const pattern of expected)
    assert.ok(
      notes.some((note) => pattern.test(note)),
      `${pattern}: ${notes.join("\n")}`,
    );
});

test("on a node that was asked for, its own selectors are gone; else the scheduler gets the architecture and those that can", () => {
  assert.equal(restored().spec["nodeName"], "node2");
  assert.equal(restored().spec["affinity"], undefined);
  const { spec } = restored({ placement: { node: undefined, architecture: "arm64", candidates: ["node2", "node3"] } });
  assert.equal(spec["nodeName"], undefined);
  assert.deepEqual(spec["nodeSelector"], { disk: "ssd", "kubernetes.io/arch": "arm64" });
  const condition = { key: "kubernetes.io/hostname", operator: "In", values: ["node2", "node3"] };
  assert.deepEqual(object(object(spec["affinity"])["nodeAffinity"])["requiredDuringSchedulingIgnoredDuringExecution"], {
    nodeSelectorTerms: [{ matchExpressions: [{ key: "a", operator: "Exists" }, condition] }, { matchExpressions: [condition] }],
  });
});

test("isolated: no token anywhere, what was mounted stays mounted, no traffic", () => {
  const { pod, spec, containers } = restored({ isolated: true });
  assert.equal(spec["automountServiceAccountToken"], false);
  assert.ok(!JSON.stringify(pod).includes("serviceAccountToken"));
  assert.deepEqual(list(containers[0]?.["volumeMounts"]).at(-1), { name: "no-token", mountPath: TOKEN_PATH, readOnly: true });
  assert.deepEqual(containers[1]?.["volumeMounts"], []);
  const policy = object(denyAll("shop", "web-restored"));
  assert.deepEqual(policy["spec"], {
    podSelector: { matchLabels: { [RESTORED_LABEL]: object(object(pod["metadata"])["labels"])[RESTORED_LABEL] } },
    policyTypes: ["Ingress", "Egress"],
  });
});

test("isolated: what leads out of the sandbox is refused", () => {
  const spec = object(ORIGINAL["spec"]);
  const [web] = list(spec["containers"]).map(object);
  const powerful: Json[] = [
    { hostNetwork: true },
    { hostPID: true },
    { hostIPC: true },
    { volumes: [...list(spec["volumes"]), { name: "root", hostPath: { path: "/" } }] },
    { containers: [web, { name: "more", securityContext: { privileged: true } }] },
  ];
  for (const more of powerful) {
    const original = { ...ORIGINAL, spec: { ...spec, ...more } };
    assert.throws(() => restored({ isolated: true, original }), { reason: "NotIsolable" }, JSON.stringify(more));
    restored({ original });
  }
});

test("isolated: a token's mount that the archive alone tells has its stand-in, once", () => {
  const mounts = (volumeMounts: readonly Json[] | undefined, isolated: boolean): unknown => {
    const web = { name: "web", ...(volumeMounts === undefined ? {} : { volumeMounts }) };
    const original = { metadata: { name: "web", namespace: "shop" }, spec: { containers: [web, { name: "proxy" }] } };
    const { containers } = restored({ isolated, tokenMounted: true, original });
    assert.equal(containers[1]?.["volumeMounts"], undefined, "the restored container alone");
    return containers[0]?.["volumeMounts"];
  };
  const standIn = { name: "no-token", mountPath: TOKEN_PATH, readOnly: true };
  assert.deepEqual(mounts(undefined, true), [standIn]);
  assert.deepEqual(mounts([{ name: "x", mountPath: "/x" }], true), [{ name: "x", mountPath: "/x" }, standIn]);
  assert.deepEqual(mounts([{ name: "x", mountPath: `${TOKEN_PATH}/` }], true), [{ name: "x", mountPath: `${TOKEN_PATH}/` }]);
  assert.equal(mounts(undefined, false), undefined, "else the API server mounts it");
});

test("--set-image is for the other containers", () => {
  assert.equal(restored({ setImages: new Map([["proxy", "proxy:2"]]) }).containers[1]?.["image"], "proxy:2");
  for (const name of ["web", "absent"])
    assert.throws(() => restored({ setImages: new Map([[name, "x"]]) }), { reason: "NoSuchContainer", exitCode: 2 });
  assert.throws(() => restored({ container: "absent" }), { reason: "NoSuchContainer" });
});

test("by a tag, the image is always pulled: it may have moved", () => {
  assert.equal(restored({ image: "reg.local/a:1" }).containers[0]?.["imagePullPolicy"], "Always");
});

test("a pod that was itself restored is of the first one still", () => {
  const again = { ...ORIGINAL, metadata: { ...object(ORIGINAL["metadata"]), annotations: { "checkpoint.kubectl/origin": "shop/first" } } };
  assert.deepEqual(object(restored({ original: again }).pod["metadata"])["annotations"], { "checkpoint.kubectl/origin": "shop/first" });
});

test("out of an archive alone: empty volumes where something was mounted, never a path of the node; the gaps are named", () => {
  const mounts = [
    { path: TOKEN_PATH, kind: "projected", name: "kube-api-access-x" },
    { path: "/etc/web", kind: "configmap", name: "conf" },
    { path: "/host", kind: undefined, name: undefined },
  ];
  const { pod, gaps } = podOfArchive({ container: "web", pod: "web", namespace: "shop", command: ["/web"], mounts });
  const spec = object(pod["spec"]);
  assert.deepEqual(spec["volumes"], [
    { name: "restored-1", emptyDir: {} },
    { name: "restored-2", emptyDir: {} },
  ]);
  assert.deepEqual(object(list(spec["containers"])[0])["volumeMounts"], [
    { name: "restored-1", mountPath: "/etc/web" },
    { name: "restored-2", mountPath: "/host" },
  ]);
  assert.ok(!JSON.stringify(pod).includes("hostPath"));
  const words = gaps.map(plain).join("\n");
  for (const pattern of [
    /configmap conf was mounted at \/etc\/web/,
    /a directory of the node was mounted at \/host/,
    /environment/,
    /other containers/,
  ])
    assert.match(words, pattern);
});
