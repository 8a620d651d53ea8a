// What a crafted manifest can ask for: all that is not on the list of a plain pod has a name.
import assert from "node:assert/strict";
import { test } from "node:test";
import { plain } from "../../src/model/phrase.ts";
import { powersOf } from "../../src/restore/powers.ts";

function powers(spec: object): string[] {
  return powersOf({ spec }).map(({ what, escapes }) => `${escapes ? "! " : ""}${plain(what)}`);
}

function ofContainer(more: object): string[] {
  return powers({ containers: [{ name: "web", ...more }] });
}

function ofSecurity(securityContext: object): string[] {
  return ofContainer({ securityContext });
}

function ofVolume(volume: object): string[] {
  return powers({ volumes: [{ name: "v", ...volume }] });
}

/** As the API server has it, with what it fills in. */
const PLAIN = {
  containers: [
    {
      name: "web",
      image: "web:1",
      command: ["/web"],
      args: ["-v"],
      workingDir: "/",
      env: [
        { name: "A", value: "1" },
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      ],
      ports: [{ containerPort: 80, protocol: "TCP", hostPort: 0 }],
      resources: { limits: { cpu: "1", memory: "1Gi", "ephemeral-storage": "1Gi" }, requests: {} },
      livenessProbe: { httpGet: { path: "/", port: 80, scheme: "HTTP", protocol: "HTTP2" }, periodSeconds: 10, failureThreshold: 3 },
      readinessProbe: { exec: { command: ["true"] } },
      startupProbe: { grpc: { port: 1, service: "" } },
      lifecycle: { preStop: { exec: { command: ["true"] } } },
      imagePullPolicy: "IfNotPresent",
      terminationMessagePath: "/dev/termination-log",
      terminationMessagePolicy: "File",
      volumeMounts: [{ name: "scratch", mountPath: "/scratch", subPath: "a", bindMountOptions: ["noexec"] }],
      securityContext: {
        privileged: false,
        runAsUser: 0,
        runAsNonRoot: true,
        allowPrivilegeEscalation: true,
        procMount: "Default",
        capabilities: { add: ["CHOWN", "NET_BIND_SERVICE"], drop: ["ALL"] },
        seccompProfile: { type: "RuntimeDefault" },
      },
    },
  ],
  initContainers: [{ name: "init", image: "i", restartPolicy: "Always" }],
  volumes: [
    { name: "scratch", emptyDir: { medium: "Memory" } },
    { name: "pod", downwardAPI: { items: [] } },
    { name: "both", projected: { defaultMode: 420, sources: [{ downwardAPI: {} }] } },
    { name: "oci", image: { reference: "x:1" } },
  ],
  restartPolicy: "Always",
  terminationGracePeriodSeconds: 30,
  dnsPolicy: "ClusterFirst",
  enableServiceLinks: true,
  serviceAccountName: "default",
  serviceAccount: "default",
  securityContext: { fsGroup: 1, runAsGroup: 2, supplementalGroups: [3] },
  schedulerName: "default-scheduler",
  preemptionPolicy: "PreemptLowerPriority",
  priority: 0,
  hostNetwork: false,
  hostUsers: false,
  shareProcessNamespace: true,
  tolerations: [
    { key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
    { key: "node.kubernetes.io/unreachable", operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 },
  ],
};

test("a plain pod has no power", () => {
  assert.deepEqual(powers(PLAIN), []);
  assert.deepEqual(powersOf({}), []);
});

test("powers over the node, each by its name; what leads out of a sandbox comes first", () => {
  const spec = {
    hostNetwork: true,
    hostPID: true,
    hostIPC: true,
    serviceAccountName: "admin",
    volumes: [{ name: "root", hostPath: { path: "/" } }],
    initContainers: [{ name: "init", securityContext: { privileged: true } }],
    containers: [{ name: "web", ports: [{ containerPort: 80, hostPort: 80 }] }],
  };
  assert.deepEqual(powers(spec).sort(), [
    "! container init is privileged",
    "! it is on the node's network (hostNetwork)",
    "! it sees the node's processes (hostPID)",
    "! it shares the node's memory segments (hostIPC)",
    "! its volume root is / of the node (hostPath)",
    "it has the rights of service account admin",
  ]);
  assert.match(powers(spec).at(-1) ?? "", /service account/);
  assert.deepEqual(ofContainer({ ports: [{ hostPort: 80 }] }), ["container web takes ports of the node (80)"]);
  const cases: [object, string[]][] = [
    [{ capabilities: { add: ["NET_ADMIN"] } }, ["container web has the capabilities NET_ADMIN"]],
    [{ capabilities: { add: ["NET_ADMIN", "SYS_ADMIN"] } }, ["! container web has the capabilities NET_ADMIN, SYS_ADMIN"]],
    [{ capabilities: { add: ["ALL"] } }, ["! container web has the capabilities ALL"]],
    [{ procMount: "Unmasked" }, ["! container web has all of /proc (procMount Unmasked)"]],
    [{ seccompProfile: { type: "Unconfined" } }, ["container web has seccompProfile Unconfined"]],
    [{ seccompProfile: { type: "Localhost", localhostProfile: "x.json" } }, ["container web has seccompProfile Localhost (x.json)"]],
    [{ appArmorProfile: { type: "Unconfined" } }, ["container web has appArmorProfile Unconfined"]],
    [{ seLinuxOptions: { type: "spc_t" } }, ["! container web has the SELinux type spc_t"]],
    [{ seLinuxOptions: { type: "container_t", user: "system_u" } }, ["container web has the SELinux user system_u"]],
    [{ windowsOptions: { hostProcess: true } }, ["! container web runs on the node itself (hostProcess)"]],
  ];
  for (const [security, expected] of cases) assert.deepEqual(ofSecurity(security), expected);
  assert.deepEqual(powers({ securityContext: { seccompProfile: { type: "Unconfined" } } }), ["it has seccompProfile Unconfined"]);
  assert.deepEqual(powers({ securityContext: { sysctls: [{ name: "kernel.msgmax", value: "1" }] } }), [
    "it sets kernel.msgmax of the kernel (sysctl)",
  ]);
});

test("what a pod reads and uses of its namespace and of the cluster", () => {
  const secretKeyRef = { name: "keys", key: "k" };
  const cases: [string[], string[]][] = [
    [ofContainer({ env: [{ name: "K", valueFrom: { secretKeyRef } }] }), ["container web reads the secret keys"]],
    [powers({ initContainers: [{ name: "init", envFrom: [{ secretRef: { name: "all" } }] }] }), ["container init reads the secret all"]],
    [ofContainer({ envFrom: [{ configMapRef: { name: "conf" } }] }), ["container web reads the config map conf"]],
    [ofVolume({ secret: { secretName: "s" } }), ["its volume v reads the secret s"]],
    [ofVolume({ configMap: { name: "c" } }), ["its volume v reads the config map c"]],
    [ofVolume({ persistentVolumeClaim: { claimName: "data" } }), ["! its volume v is the claim data"]],
    [ofVolume({ projected: { sources: [{ secret: { name: "s" } }] } }), ["its volume v reads the secret s"]],
    [
      ofVolume({ projected: { sources: [{ serviceAccountToken: { audience: "sts.amazonaws.com", path: "t" } }] } }),
      ["! its volume v has a token of its service account for sts.amazonaws.com"],
    ],
    [powers({ priorityClassName: "system-node-critical" }), ["it has the priority class system-node-critical"]],
    [powers({ runtimeClassName: "kata" }), ["it has the runtime class kata"]],
    [powers({ imagePullSecrets: [{ name: "pull" }] }), ["its images are pulled with the secret pull"]],
    [powers({ schedulerName: "mine" }), ["it is placed by the scheduler mine"]],
    [powers({ tolerations: [{ operator: "Exists" }] }), ["it tolerates all taints, which keeps other pods away from nodes"]],
    [powers({ resourceClaims: [{ name: "gpu" }] }), ["! it has resource claims, for devices of the node"]],
    [
      ofContainer({ livenessProbe: { httpGet: { host: "169.254.169.254", port: 80 } } }),
      ["! container web has the kubelet connect to 169.254.169.254 (spec.containers[web].livenessProbe.httpGet.host)"],
    ],
    [
      ofContainer({ volumeMounts: [{ name: "v", mountPropagation: "Bidirectional" }] }),
      ["! container web makes mounts on the node (Bidirectional)"],
    ],
    [ofContainer({ brandNew: { on: true } }), ["! it sets spec.containers[web].brandNew, which a plain pod does not"]],
    [powers({ brandNew: 1, other: false, third: [] }), ["! it sets spec.brandNew, which a plain pod does not"]],
  ];
  for (const [found, expected] of cases) assert.deepEqual(found, expected);
});

test("a service account without a token is a name only", () => {
  const spec = { serviceAccountName: "web", automountServiceAccountToken: false };
  assert.deepEqual(powers(spec), []);
  const token = { volumes: [{ name: "t", projected: { sources: [{ serviceAccountToken: {} }] } }] };
  assert.deepEqual(powers({ ...spec, ...token }), [
    "! its volume t has a token of its service account",
    "it has the rights of service account web",
  ]);
});
