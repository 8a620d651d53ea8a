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
    placement: { node: "node2", architecture: "amd64", candidates: undefined, bypassScheduler: false },
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
    /node selector and node affinity is not kept: node2/,
    /scratch \(emptyDir\) is empty/,
    /claim web-data as it is now/,
    /host ports of container web are not kept \(8080\)/,
    /postStart hook of container web runs again/,
    /only container web is restored; started from the beginning: proxy/,
    /init containers run again: init/,
    /ephemeral containers are not created again: debugger/,
  ];
  for (const pattern of expected)
    assert.ok(
      notes.some((note) => pattern.test(note)),
      `${pattern}: ${notes.join("\n")}`,
    );
});

const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";
const nodeTerms = (spec: Json): unknown => object(object(object(object(spec["affinity"])["nodeAffinity"])[REQUIRED]))["nodeSelectorTerms"];
const isNode = (operator: string, node: string): Json => ({ key: "metadata.name", operator, values: [node] });

test("a node that was asked for is named as DaemonSets do, for the scheduler; with --bypass-scheduler it is bound", () => {
  const { spec } = restored();
  assert.equal(spec["nodeName"], undefined);
  assert.deepEqual(nodeTerms(spec), [{ matchFields: [isNode("In", "node2")] }]);
  const bound = restored({ placement: { node: "node2", architecture: "amd64", candidates: undefined, bypassScheduler: true } });
  assert.deepEqual([bound.spec["nodeName"], bound.spec["affinity"]], ["node2", undefined]);
});

test("without a node, the scheduler gets the architecture, and which nodes can restore it: the shorter list", () => {
  const place = (fit: string[], unfit: string[]): Json => {
    const placement = { node: undefined, architecture: "arm64", candidates: { fit, unfit }, bypassScheduler: false };
    return restored({ placement }).spec;
  };
  const spec = place(["node2", "node3"], ["a", "b"]);
  assert.equal(spec["nodeName"], undefined);
  assert.deepEqual(spec["nodeSelector"], { disk: "ssd", "kubernetes.io/arch": "arm64" });
  // A term without a condition, as the original has one, selects no node.
  const term = { matchExpressions: [{ key: "a", operator: "Exists" }] };
  assert.deepEqual(nodeTerms(spec), [
    { ...term, matchFields: [isNode("In", "node2")] },
    { ...term, matchFields: [isNode("In", "node3")] },
  ]);
  assert.deepEqual(nodeTerms(place(["node2", "node3"], ["a"])), [{ ...term, matchFields: [isNode("NotIn", "a")] }]);
});

test("terms about other pods: without the labels that they are looked up in, and none that the original itself stands against", () => {
  const own = { labelSelector: { matchLabels: { app: "web" } }, topologyKey: "kubernetes.io/hostname" };
  const zone = { ...own, topologyKey: "topology.kubernetes.io/zone" };
  const other = {
    labelSelector: { matchLabels: { app: "db" } },
    topologyKey: "topology.kubernetes.io/zone",
    matchLabelKeys: ["pod-template-hash"],
  };
  const spec = {
    ...object(ORIGINAL["spec"]),
    affinity: { podAffinity: { [REQUIRED]: [own, other] }, podAntiAffinity: { [REQUIRED]: [own, zone] } },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "zone",
        whenUnsatisfiable: "DoNotSchedule",
        labelSelector: own.labelSelector,
        matchLabelKeys: ["pod-template-hash"],
      },
    ],
  };
  const { spec: made, notes } = restored({ original: { ...ORIGINAL, spec } });
  const affinity = object(made["affinity"]);
  const hashed = (labels: object): Json => ({
    matchLabels: labels,
    matchExpressions: [{ key: "pod-template-hash", operator: "In", values: ["7d9f"] }],
  });
  assert.deepEqual(object(affinity["podAffinity"])[REQUIRED], [
    { labelSelector: hashed({ app: "db" }), topologyKey: "topology.kubernetes.io/zone" },
  ]);
  assert.deepEqual(object(affinity["podAntiAffinity"])[REQUIRED], [own]);
  assert.deepEqual(made["topologySpreadConstraints"], [
    { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", labelSelector: hashed({ app: "web" }) },
  ]);
  assert.ok(
    notes.some((note) => /pod affinity is not kept where it selects the original/.test(note)),
    notes.join("\n"),
  );
  const kept = restored({ original: { ...ORIGINAL, spec }, keep: { ...KEEP, labels: true } });
  assert.equal(list(object(object(kept.spec["affinity"])["podAffinity"])[REQUIRED]).length, 2, "with its labels it is one of them");
});

test("matchLabelKeys that are in the selector already, as the API server has it, are not given twice", () => {
  const merged = {
    matchLabels: { app: "db" },
    matchExpressions: [{ key: "pod-template-hash", operator: "In", values: ["7d9f"] }],
  };
  const term = { labelSelector: merged, topologyKey: "zone", matchLabelKeys: ["pod-template-hash"], mismatchLabelKeys: ["absent"] };
  const spec = { ...object(ORIGINAL["spec"]), affinity: { podAffinity: { [REQUIRED]: [term] } } };
  const { spec: made } = restored({ original: { ...ORIGINAL, spec } });
  assert.deepEqual(object(object(made["affinity"])["podAffinity"])[REQUIRED], [{ labelSelector: merged, topologyKey: "zone" }]);
});

test("isolated: no token anywhere, what was mounted stays mounted, no traffic", () => {
  const { pod, spec, containers } = restored({ isolated: true });
  assert.equal(spec["automountServiceAccountToken"], false);
  assert.equal(spec["serviceAccountName"], undefined);
  assert.ok(!JSON.stringify(pod).includes("serviceAccountToken"));
  assert.deepEqual(list(containers[0]?.["volumeMounts"]).at(-1), { name: "no-token", mountPath: TOKEN_PATH, readOnly: true });
  assert.deepEqual(containers[1]?.["volumeMounts"], []);
  const policy = object(denyAll("shop", "web-restored"));
  assert.deepEqual(policy["spec"], {
    podSelector: { matchLabels: { [RESTORED_LABEL]: object(object(pod["metadata"])["labels"])[RESTORED_LABEL] } },
    policyTypes: ["Ingress", "Egress"],
  });
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
