// Exec credential plugins: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
import type { Site } from "../site.ts";
import { status } from "../servers.ts";
import type { Case, Given } from "../table.ts";
import { certificateOf, config } from "./kubeconfig.ts";

const V1 = "client.authentication.k8s.io/v1";
const RUN = { apiVersion: V1, command: "HERE/login", interactiveMode: "Never" };

/** Answers with a status, and writes a line about each run. */
function login(status: unknown, apiVersion = V1, kind = "ExecCredential"): string {
  const answer = JSON.stringify({ apiVersion, kind, ...(status === undefined ? {} : { status }) });
  return `#!/bin/sh\necho "$@ $EXTRA" >>HERE/runs\nprintf %s "$KUBERNETES_EXEC_INFO" >HERE/info\ncat <<'END'\n${answer}\nEND\n`;
}

async function plugin(
  site: Site,
  answer: unknown,
  exec: object = {},
  more: Partial<Given> & { user?: object; cluster?: object } = {},
): Promise<Given> {
  const { user = {}, cluster = {}, ...given } = more;
  return {
    kubeconfig: await config(site, { user: { exec: { ...RUN, ...exec }, ...user }, cluster }),
    files: { login: typeof answer === "string" ? answer : login(answer) },
    ...given,
  };
}

function credentialOf(site: Site, name: string): object {
  return { clientCertificateData: site.pki.read(`${name}.crt`), clientKeyData: site.pki.read(`${name}.key`) };
}

export const EXEC: readonly Case[] = [
  { name: "exec: a token", given: async (site) => await plugin(site, { token: "e" }), arrives: "authorization=Bearer e", runs: 1 },
  {
    name: "exec: a certificate",
    given: async (site) => await plugin(site, credentialOf(site, "bob")),
    arrives: "certificate=bob",
    runs: 1,
  },
  {
    name: "exec: a token and a certificate",
    given: async (site) => await plugin(site, { token: "e", ...credentialOf(site, "bob") }),
    arrives: "certificate=bob authorization=Bearer e",
  },
  {
    name: "exec: a certificate without a key",
    given: async (site) => await plugin(site, { clientCertificateData: site.pki.read("bob.crt") }),
    kubectlSays: /only certificate or key, not both/,
    fails: { reason: "ExecPluginFailed", says: /clientKeyData/ },
  },
  {
    name: "exec: the key of another certificate",
    given: async (site) =>
      await plugin(site, { clientCertificateData: site.pki.read("bob.crt"), clientKeyData: site.pki.read("stranger.key") }),
    kubectlSays: /private key does not match public key/,
    fails: { reason: "ExecPluginFailed", says: /clientKeyData/ },
  },
  {
    name: "exec: an empty status",
    given: async (site) => await plugin(site, {}),
    kubectlSays: /didn't return a token or cert\/key pair/,
    fails: { reason: "ExecPluginFailed", says: /neither a token nor a certificate/ },
  },
  {
    name: "exec: no status",
    given: async (site) => await plugin(site, undefined),
    kubectlSays: /didn't return a status field/,
    fails: { reason: "ExecPluginFailed", says: /status/ },
  },
  {
    name: "exec: an answer of another version",
    given: async (site) => await plugin(site, login({ token: "e" }, "client.authentication.k8s.io/v1beta1")),
    kubectlSays: /plugin is configured to use API version/,
    fails: { reason: "ExecPluginFailed", says: /v1beta1/ },
  },
  {
    name: "exec: an answer of another kind",
    given: async (site) => await plugin(site, login({ token: "e" }, V1, "Credential")),
    kubectlSays: /Credential/,
    fails: { reason: "ExecPluginFailed", says: /"Credential"/ },
  },
  {
    name: "exec: an answer that is no JSON",
    given: async (site) => await plugin(site, "#!/bin/sh\necho hello\n"),
    kubectlSays: /decoding stdout/,
    fails: { reason: "ExecPluginFailed", says: /not JSON/ },
  },
  {
    name: "exec: exit status 7",
    given: async (site) => await plugin(site, "#!/bin/sh\nexit 7\n"),
    kubectlSays: /failed with exit code 7/,
    fails: { reason: "ExecPluginFailed", says: /exit status 7/ },
  },
  {
    name: "exec: v1beta1 without a mode",
    given: async (site) =>
      await plugin(site, login({ token: "e" }, "client.authentication.k8s.io/v1beta1"), {
        apiVersion: "client.authentication.k8s.io/v1beta1",
        interactiveMode: undefined,
      }),
    arrives: "authorization=Bearer e",
  },
  {
    name: "exec: v1 without a mode",
    given: async (site) => await plugin(site, { token: "e" }, { interactiveMode: undefined }),
    kubectlSays: /interactiveMode must be specified/,
    fails: { reason: "KubeconfigInvalid", says: /interactiveMode/ },
  },
  {
    name: "exec: a mode that nobody knows",
    given: async (site) => await plugin(site, { token: "e" }, { interactiveMode: "Sometimes" }),
    kubectlSays: /invalid interactiveMode/,
    fails: { reason: "KubeconfigInvalid", says: /Sometimes/ },
  },
  {
    name: "exec: no version",
    given: async (site) => await plugin(site, { token: "e" }, { apiVersion: undefined }),
    kubectlSays: /apiVersion must be specified/,
    fails: { reason: "KubeconfigInvalid", says: /apiVersion/ },
  },
  {
    name: "exec: a version that is gone",
    given: async (site) => await plugin(site, { token: "e" }, { apiVersion: "client.authentication.k8s.io/v1alpha1" }),
    kubectlSays: /invalid apiVersion/,
    fails: { reason: "KubeconfigInvalid", says: /v1alpha1/ },
  },
  {
    name: "exec: no command",
    given: async (site) => await plugin(site, { token: "e" }, { command: undefined }),
    kubectlSays: /command must be specified/,
    fails: { reason: "KubeconfigInvalid", says: /command/ },
  },
  {
    name: "exec: a terminal is needed and there is none",
    given: async (site) => await plugin(site, { token: "e" }, { interactiveMode: "Always" }),
    kubectlSays: /cannot support interactive mode/,
    fails: { reason: "ExecPluginFailed", says: /terminal/ },
    runs: 0,
  },
  {
    name: "exec: a terminal may be used",
    given: async (site) => await plugin(site, { token: "e" }, { interactiveMode: "IfAvailable" }),
    arrives: "authorization=Bearer e",
    leaves: ["info"],
  },
  {
    name: "exec: arguments and environment",
    given: async (site) => await plugin(site, { token: "e" }, { args: ["get", "a b"], env: [{ name: "EXTRA", value: "x y" }] }),
    arrives: "authorization=Bearer e",
    leaves: ["runs"],
  },
  {
    name: "exec: a command beside the kubeconfig",
    given: async (site) => await plugin(site, { token: "e" }, { command: "./login" }),
    arrives: "authorization=Bearer e",
  },
  {
    name: "exec: a command of the PATH",
    given: async (site) => await plugin(site, { token: "e" }, { command: "login" }, { env: { PATH: "HERE:/usr/bin:/bin" } }),
    arrives: "authorization=Bearer e",
  },
  {
    name: "exec: a command that is not there",
    given: async (site) => await plugin(site, { token: "e" }, { command: "no-such-login", installHint: "get it\nat example.com" }),
    kubectlSays: /no-such-login not found[\s\S]*get it\nat example\.com/,
    fails: { reason: "ExecPluginFailed", says: /no-such-login.*not found[\s\S]*get it\nat example\.com/ },
  },
  {
    name: "exec: what it is given of the cluster: the server",
    given: async (site) => await plugin(site, { token: "e" }, { provideClusterInfo: true }),
    arrives: "authorization=Bearer e",
    leaves: ["info"],
  },
  {
    name: "exec: what it is given of the cluster: a CA's file as data, the extension's config, the proxy, the server's name",
    given: async (site) => {
      const { url } = await site.proxy();
      const cluster = {
        "certificate-authority-data": undefined,
        "certificate-authority": "ca.crt",
        "tls-server-name": "other.example",
        "proxy-url": url,
        "disable-compression": true,
        extensions: [
          { name: "other", extension: { a: 1 } },
          { name: "client.authentication.k8s.io/exec", extension: { audience: "api", nested: { list: [1, "two"] } } },
        ],
      };
      const { login: program = "" } = (await plugin(site, { token: "e" })).files ?? {};
      const given = await plugin(site, { token: "e" }, { provideClusterInfo: true }, { cluster });
      return { ...given, files: { login: program, "ca.crt": site.pki.read("ca.crt") } };
    },
    arrives: "sni=other.example",
    leaves: ["info"],
  },
  {
    name: "exec: what it is given of a cluster that is not verified",
    given: async (site) =>
      await plugin(
        site,
        { token: "e" },
        { provideClusterInfo: true },
        { cluster: { "certificate-authority-data": undefined, "insecure-skip-tls-verify": true } },
      ),
    arrives: "authorization=Bearer e",
    leaves: ["info"],
  },
  {
    name: "exec: what it is not given",
    given: async (site) => await plugin(site, { token: "e" }, { provideClusterInfo: false }),
    arrives: "authorization=Bearer e",
    leaves: ["info"],
  },
  {
    name: "exec, and --token: the flag, and nothing runs",
    given: async (site) => await plugin(site, { token: "e" }, {}, { args: ["--token", "flag"] }),
    arrives: "authorization=Bearer flag",
    runs: 0,
  },
  {
    name: "exec, and --client-certificate with --client-key: the flags",
    given: async (site) => {
      const given = await plugin(site, credentialOf(site, "bob"));
      const files = { ...given.files, "a.crt": site.pki.read("alice.crt"), "a.key": site.pki.read("alice.key") };
      return { ...given, files, args: ["--client-certificate", "HERE/a.crt", "--client-key", "HERE/a.key"] };
    },
    arrives: "certificate=alice",
  },
  {
    name: "exec with a token, and --client-certificate with --client-key",
    given: async (site) => {
      const given = await plugin(site, { token: "e" });
      const files = { ...given.files, "a.crt": site.pki.read("alice.crt"), "a.key": site.pki.read("alice.key") };
      return { ...given, files, args: ["--client-certificate", "HERE/a.crt", "--client-key", "HERE/a.key"] };
    },
    arrives: "certificate=alice",
  },
  {
    name: "exec, and a token in the kubeconfig",
    given: async (site) => await plugin(site, { token: "e" }, {}, { user: { token: "t" } }),
    arrives: "authorization=Bearer t",
    runs: 0,
  },
  {
    name: "exec, and a certificate in the kubeconfig",
    given: async (site) => await plugin(site, { token: "e" }, {}, { user: certificateOf(site, "alice") }),
    arrives: "certificate=alice",
  },
  {
    name: "exec, and a password in the kubeconfig",
    given: async (site) => await plugin(site, { token: "e" }, {}, { user: { username: "u", password: "p" } }),
    arrives: `authorization=Basic ${btoa("u:p")}`,
  },
  {
    name: "exec and an auth provider",
    given: async (site) => await plugin(site, { token: "e" }, {}, { user: { "auth-provider": { name: "oidc" } } }),
    kubectlSays: /authProvider cannot be provided in combination with an exec plugin/,
    fails: { reason: "KubeconfigInvalid", says: /auth-provider/ },
  },
  {
    name: "exec: a token that has expired already",
    given: async (site) => await plugin(site, { token: "e", expirationTimestamp: "2020-01-01T00:00:00Z" }),
    arrives: "authorization=Bearer e",
  },
  {
    name: "exec: 401 to its token, and it is run again",
    given: async (site) => {
      await site.api("main", {
        answer: (request, response) =>
          request.headers.authorization === "Bearer fresh" ? false : status(response, 401, "Unauthorized", "Unauthorized"),
      });
      const script = `#!/bin/sh\necho run >>HERE/runs\nif [ -e HERE/was ]; then token=fresh; else token=stale; fi\ntouch HERE/was\necho '{"apiVersion":"${V1}","kind":"ExecCredential","status":{"token":"'$token'"}}'\n`;
      return await plugin(site, script);
    },
    arrives: "authorization=Bearer fresh",
    runs: 2,
    asksAgain: true,
  },
];
