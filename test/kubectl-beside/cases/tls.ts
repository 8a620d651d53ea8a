// Addresses of API servers, and whom to trust.
import { apiServer } from "../servers.ts";
import type { Case } from "../table.ts";
import { certificateOf, config } from "./kubeconfig.ts";

const user = { token: "t" };

export const TLS: readonly Case[] = [
  { name: "an address has no server name", given: async (site) => ({ kubeconfig: await config(site, { user }) }), arrives: "sni=none" },
  {
    name: "a host has one",
    given: async (site) => ({ kubeconfig: await config(site, { user, server: `https://localhost:${(await site.api()).port}` }) }),
    arrives: "sni=localhost",
  },
  {
    name: "an IPv6 address",
    given: async (site) => ({ kubeconfig: await config(site, { user, server: (await site.api("six", { host: "::1" })).url }) }),
    arrives: /^six: .*host=\[::1\]:SIX sni=none/,
  },
  {
    name: "tls-server-name",
    given: async (site) => ({ kubeconfig: await config(site, { user, cluster: { "tls-server-name": "api.example" } }) }),
    arrives: "sni=api.example",
  },
  {
    name: "tls-server-name of another certificate",
    given: async (site) => ({ kubeconfig: await config(site, { user, cluster: { "tls-server-name": "wrong.example" } }) }),
    kubectlSays: /certificate is valid for .* not wrong\.example/,
    fails: { reason: "CertificateUntrusted", says: /another name/ },
  },
  {
    name: "a path, as Rancher has it",
    given: async (site) => ({ kubeconfig: await config(site, { user, server: `${(await site.api()).url}/k8s/clusters/c-1` }) }),
    arrives: "GET /k8s/clusters/c-1/api/v1/namespaces/default/pods/nginx",
  },
  {
    name: "a path with a slash at its end",
    given: async (site) => ({ kubeconfig: await config(site, { user, server: `${(await site.api()).url}/k8s/` }) }),
    arrives: "GET /k8s/api/v1/namespaces/default/pods/nginx",
  },
  {
    name: "a CA of a file",
    given: async (site) => ({
      kubeconfig: await config(site, { user, cluster: { "certificate-authority-data": undefined, "certificate-authority": "pki/ca.crt" } }),
      files: { "pki/ca.crt": site.pki.read("ca.crt") },
    }),
    arrives: "authorization=Bearer t",
  },
  {
    name: "a CA as data and as a file",
    given: async (site) => ({
      kubeconfig: await config(site, { user, cluster: { "certificate-authority": "system.crt" } }),
      files: { "system.crt": site.pki.read("system.crt") },
    }),
    kubectlSays: /certificate-authority-data and certificate-authority are both specified/,
    fails: { reason: "KubeconfigInvalid", says: /certificate-authority and certificate-authority-data/ },
  },
  {
    name: "a CA's file that is not there",
    given: async (site) => ({
      kubeconfig: await config(site, {
        user,
        cluster: { "certificate-authority-data": undefined, "certificate-authority": "HERE/none.crt" },
      }),
    }),
    kubectlSays: /unable to read certificate-authority/,
    fails: { reason: "KubeconfigInvalid", says: /HERE\/none\.crt/ },
  },
  {
    name: "a CA that is none",
    given: async (site) => ({
      kubeconfig: await config(site, { user, cluster: { "certificate-authority-data": Buffer.from("hello").toString("base64") } }),
    }),
    kubectlSays: /unable to load root certificates/,
    fails: { reason: "KubeconfigInvalid", says: /certificate-authority-data/ },
  },
  {
    name: "a CA that is no base64",
    given: async (site) => ({ kubeconfig: await config(site, { user, cluster: { "certificate-authority-data": "%" } }) }),
    kubectlSays: /illegal base64/,
    fails: { reason: "KubeconfigInvalid", says: /certificate-authority-data/ },
  },
  {
    name: "another CA",
    given: async (site) => ({
      kubeconfig: await config(site, { user, cluster: { "certificate-authority-data": site.pki.data("system.crt") } }),
    }),
    kubectlSays: /certificate signed by unknown authority/,
    fails: { reason: "CertificateUntrusted", says: /certificate-authority/ },
  },
  {
    name: "no CA: the system's",
    given: async (site) => ({
      kubeconfig: await config(site, { user, cluster: { "certificate-authority-data": undefined } }),
      files: { "ca.crt": site.pki.read("ca.crt") },
      env: { SSL_CERT_FILE: "HERE/ca.crt" },
    }),
    arrives: "authorization=Bearer t",
    apart: true,
  },
  {
    name: "a certificate that has expired",
    given: async (site) => {
      await site.api("main", { certificate: "expired" });
      return { kubeconfig: await config(site, { user }) };
    },
    kubectlSays: /certificate has expired/,
    fails: { reason: "CertificateExpired", says: /not valid|expired/ },
  },
  {
    name: "not verified",
    given: async (site) => ({
      kubeconfig: await config(site, { user, cluster: { "certificate-authority-data": undefined, "insecure-skip-tls-verify": true } }),
    }),
    arrives: "authorization=Bearer t",
  },
  {
    name: "a CA, and not verified",
    given: async (site) => ({ kubeconfig: await config(site, { user, cluster: { "insecure-skip-tls-verify": true } }) }),
    kubectlSays: /specifying a root certificates file with the insecure flag is not allowed|certificate-authority.*insecure/,
    fails: { reason: "KubeconfigInvalid", says: /certificate-authority.*insecure-skip-tls-verify/s },
  },
  {
    name: "--insecure-skip-tls-verify over a CA",
    given: async (site) => ({ kubeconfig: await config(site, { user }), args: ["--insecure-skip-tls-verify"] }),
    arrives: "authorization=Bearer t",
  },
  {
    name: "--insecure-skip-tls-verify with --certificate-authority",
    given: async (site) => ({
      kubeconfig: await config(site, { user }),
      files: { "ca.crt": site.pki.read("ca.crt") },
      args: ["--insecure-skip-tls-verify", "--certificate-authority", "HERE/ca.crt"],
    }),
    kubectlSays: /specifying a root certificates file with the insecure flag is not allowed/,
    fails: { reason: "KubeconfigInvalid", says: /certificate-authority.*insecure-skip-tls-verify/s },
  },
  {
    name: "--certificate-authority over insecure-skip-tls-verify",
    given: async (site) => ({
      kubeconfig: await config(site, { user, cluster: { "certificate-authority-data": undefined, "insecure-skip-tls-verify": true } }),
      files: { "ca.crt": site.pki.read("ca.crt") },
      args: ["--certificate-authority", "HERE/ca.crt"],
    }),
    arrives: "authorization=Bearer t",
  },
  {
    name: "insecure-skip-tls-verify that is a string",
    given: async (site) => ({ kubeconfig: await config(site, { user, cluster: { "insecure-skip-tls-verify": "true" } }) }),
    kubectlSays: /cannot unmarshal string/,
    fails: { reason: "KubeconfigInvalid", says: /insecure-skip-tls-verify/ },
  },
  {
    name: "plain HTTP: no bearer token",
    given: async (site) => ({ kubeconfig: await config(site, { user, server: (await site.http()).url }) }),
    arrives: /^plain: .* no TLS$/,
  },
  {
    name: "plain HTTP: --token neither",
    given: async (site) => ({ kubeconfig: await config(site, { server: (await site.http()).url }), args: ["--token", "t"] }),
    arrives: /^plain: .* no TLS$/,
  },
  {
    name: "plain HTTP: no password, no exec plugin, no token file",
    given: async (site) => ({
      kubeconfig: await config(site, {
        user: { username: "u", password: "p", tokenFile: "HERE/token" },
        server: (await site.http()).url,
      }),
      files: { token: "t" },
    }),
    arrives: /^plain: .* no TLS$/,
  },
  {
    name: "plain HTTP: no exec plugin",
    given: async (site) => ({
      kubeconfig: await config(site, {
        user: { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "HERE/login", interactiveMode: "Never" } },
        server: (await site.http()).url,
      }),
      files: { login: "#!/bin/sh\necho run >>HERE/runs\nexit 1\n" },
    }),
    arrives: /^plain: .* no TLS$/,
    runs: 0,
  },
  {
    name: "plain HTTP: impersonation",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { as: "bo", "as-groups": ["g"] }, server: (await site.http()).url }),
    }),
    arrives: "no TLS impersonate-group=g impersonate-user=bo",
  },
  {
    name: "plain HTTP where https is written",
    given: async (site) => ({ kubeconfig: await config(site, { user, server: (await site.http()).url.replace("http:", "https:") }) }),
    kubectlSays: /server gave HTTP response to HTTPS client/,
    fails: { reason: "ServerSpeaksHttp", says: /plain HTTP/ },
  },
  {
    name: "a client certificate that the server's authority has not signed",
    given: async (site) => {
      const { url } = await site.strict();
      const files = { "client-certificate-data": site.pki.data("proxy.crt"), "client-key-data": site.pki.data("proxy.key") };
      return { kubeconfig: await config(site, { user: files, server: url }) };
    },
    better: "kubectl asks again for minutes, and says EOF",
    fails: { reason: "ClientCertificateRefused", says: /client certificate/ },
  },
  {
    name: "a server that wants a client certificate",
    given: async (site) => ({ kubeconfig: await config(site, { user, server: (await site.strict()).url }) }),
    better: "as above",
    fails: { reason: "ClientCertificateRefused", says: /requires a client certificate/ },
  },
  {
    name: "nobody listens",
    given: async (site) => {
      const gone = await apiServer({ pki: site.pki });
      gone.close();
      return { kubeconfig: await config(site, { user: certificateOf(site, "alice"), server: gone.url }) };
    },
    kubectlSays: /connection refused|was refused/,
    fails: { reason: "ApiserverUnreachable", says: /ECONNREFUSED/ },
  },
];
