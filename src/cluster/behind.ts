import type { Explanation } from "../model/error.ts";
import { command, say, type Text } from "../model/phrase.ts";

/** What an answer means that neither the API server nor a kubelet made. */
interface Explained extends Explanation {
  /** Whether what was asked for may have been done all the same. */
  readonly open: boolean;
}

interface Row {
  readonly said: RegExp;
  readonly reason: string;
  readonly open: boolean;
  readonly message: string;
  readonly why: (said: string) => Text;
  readonly fix?: Text;
}

const NODES = command`kubectl get nodes -o wide`;

/** The words of those between the API server and a kubelet: konnectivity, TLS, the network. */
const ROWS: readonly Row[] = [
  {
    said: /No agent available/i,
    reason: "KonnectivityDown",
    open: false,
    message: "the API server has no tunnel to the node: no konnectivity agent is connected",
    why: (said) => said,
    fix: command`kubectl get pods -n kube-system -l k8s-app=konnectivity-agent: do they run? A firewall may keep them from the control plane`,
  },
  {
    said: /proxy error from \S+ while dialing|dial unix \S*konnectivity|failed to get agent/i,
    reason: "KonnectivityDown",
    open: false,
    message: "the tunnel of konnectivity between the API server and the node does not work",
    why: (said) => said,
    fix: command`kubectl get pods -n kube-system -l k8s-app=konnectivity-agent`,
  },
  {
    said: /remote error: tls: internal error/,
    reason: "KubeletCertificate",
    open: false,
    message: "the kubelet has no serving certificate yet",
    why: (said) => say`it waits for its certificate signing request to be approved: ${said}`,
    fix: command`kubectl get csr: approve those of kubernetes.io/kubelet-serving that are pending, with kubectl certificate approve NAME`,
  },
  {
    said: /doesn't contain any IP SANs|cannot validate certificate for|certificate is valid for .*, not|x509: /,
    reason: "KubeletCertificate",
    open: false,
    message: "the API server does not accept the kubelet's serving certificate",
    why: (said) => said,
    fix: "the kubelet needs a serving certificate with the node's address, signed by an authority that the API server trusts: serverTLSBootstrap: true in its configuration",
  },
  {
    said: /dial tcp \S+: .*(i\/o timeout|timed out|no route to host|network is unreachable|deadline exceeded)|TLS handshake timeout|no route to host/,
    reason: "KubeletUnreachable",
    open: false,
    message: "the API server cannot reach the node",
    why: (said) => said,
    fix: NODES,
  },
  {
    said: /http2: client connection (lost|force closed)|timed out|i\/o timeout|timeout awaiting|(deadline|timeout) exceeded|context canceled|request canceled|use of closed network connection|\bEOF\b|connection reset by peer|broken pipe|GOAWAY|stream error|transport is closing/i,
    reason: "NodeConnectionLost",
    open: true,
    message: "the API server lost its connection to the node",
    why: (said) => said,
    fix: NODES,
  },
];

/** What an API server asks a node for. */
const OF_A_NODE = /nodes\/[^/]+\/proxy\b|pods\/[^/]+\/(exec|portforward|attach|log)\b/;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Of its Status; undefined where it is none, as a kubelet's answers and a load balancer's are. */
  readonly said: string | undefined;
}

/** Of an answer to a path, what made it that stands before or behind the API server; undefined where it made the answer itself, or the kubelet did. */
export function behindApiserver({ status, headers, said }: Answer, path: string): Explained | undefined {
  if (status >= 300 && status < 400) return loginPage(status, String(headers["location"] ?? ""));
  if (said === undefined) return isGateways(status, headers) ? ofGateway(status) : undefined;
  if (status < 500 || !OF_A_NODE.test(path)) return undefined;
  const row = ROWS.find((one) => one.said.test(said));
  if (row !== undefined) {
    const { reason, open, message, why, fix } = row;
    return { reason, open, message, why: why(said), fix };
  }
  if (status !== 502 && status !== 504) return undefined;
  return { reason: "NodeConnectionLost", open: true, message: say`the API server gave up waiting for the node (${status})`, why: said };
}

/** Whether something before the API server made an answer that is no Status. A kubelet has 500 alone, and writes plain text. */
function isGateways(status: number, headers: Answer["headers"]): boolean {
  return status > 500 || (status === 500 && /html|json/.test(String(headers["content-type"] ?? "")));
}

function ofGateway(status: number): Explained {
  const why: Readonly<Record<number, string>> = {
    502: "it could not reach the API server, or lost the connection to it",
    504: "the answer took longer than it waits",
  };
  return {
    reason: status === 504 ? "GatewayTimeout" : "BadGateway",
    open: true,
    message: say`a load balancer or proxy before the API server answered ${status}`,
    why: why[status],
  };
}

function loginPage(status: number, location: string): Explained {
  return {
    reason: "LoginPage",
    open: false,
    message: say`the server redirected the request (${status}), as login pages do`,
    why: location === "" ? undefined : say`it redirects to ${location}`,
    fix: "log in there, then use the kubeconfig that it provides; or connect to the VPN",
  };
}
