// Tokens, passwords and certificates of a kubeconfig.
import type { Case } from "../table.ts";
import { certificateOf, config } from "./kubeconfig.ts";

export const CREDENTIALS: readonly Case[] = [
  {
    name: "a token",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "t" } }) }),
    arrives: "authorization=Bearer t",
  },
  {
    name: "a token file",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { tokenFile: "secrets/token" } }),
      files: { "secrets/token": "from-file\n" },
    }),
    arrives: "authorization=Bearer from-file",
  },
  {
    name: "a token and a token file: the file",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { token: "t", tokenFile: "HERE/token" } }),
      files: { token: "from-file" },
    }),
    arrives: "authorization=Bearer from-file",
  },
  {
    name: "a token, and a token file that is not there: the token",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "t", tokenFile: "HERE/none" } }) }),
    arrives: "authorization=Bearer t",
  },
  {
    name: "a token file that is not there",
    given: async (site) => ({ kubeconfig: await config(site, { user: { tokenFile: "HERE/none" } }) }),
    kubectlSays: /no such file/,
    fails: { reason: "CredentialsUnusable", says: /HERE\/none/ },
  },
  {
    name: "an empty token file",
    given: async (site) => ({ kubeconfig: await config(site, { user: { tokenFile: "HERE/token" } }), files: { token: "\n" } }),
    kubectlSays: /invalid header field value/,
    fails: { reason: "CredentialsUnusable", says: /empty/ },
  },
  {
    name: "an empty token file and a token",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: "t", tokenFile: "HERE/token" } }), files: { token: "\n" } }),
    arrives: "authorization=Bearer t",
  },
  {
    name: "a token that is a number",
    given: async (site) => ({ kubeconfig: await config(site, { user: { token: 12_345 } }) }),
    kubectlSays: /cannot unmarshal number/,
    fails: { reason: "KubeconfigInvalid", says: /token/ },
  },
  {
    name: "a user name and a password",
    given: async (site) => ({ kubeconfig: await config(site, { user: { username: "u", password: "p:w" } }) }),
    arrives: `authorization=Basic ${btoa("u:p:w")}`,
  },
  {
    name: "a password of more than ASCII",
    given: async (site) => ({ kubeconfig: await config(site, { user: { username: "jürgen", password: "pä ß" } }) }),
    arrives: `authorization=Basic ${Buffer.from("jürgen:pä ß").toString("base64")}`,
  },
  {
    name: "a user name without a password",
    given: async (site) => ({ kubeconfig: await config(site, { user: { username: "u" } }) }),
    arrives: `authorization=Basic ${btoa("u:")}`,
  },
  {
    name: "a password and a token",
    given: async (site) => ({ kubeconfig: await config(site, { user: { username: "u", password: "p", token: "t" } }) }),
    kubectlSays: /more than one authentication method found/,
    fails: { reason: "KubeconfigInvalid", says: /token and a password/ },
  },
  {
    name: "certificate and key as data",
    given: async (site) => ({ kubeconfig: await config(site, { user: certificateOf(site, "alice") }) }),
    arrives: "certificate=alice",
  },
  {
    name: "certificate and key as files beside the kubeconfig",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { "client-certificate": "pki/a.crt", "client-key": "pki/a.key" } }),
      files: { "pki/a.crt": site.pki.read("alice.crt"), "pki/a.key": site.pki.read("alice.key") },
    }),
    arrives: "certificate=alice",
  },
  {
    name: "certificate and key as data and as files",
    given: async (site) => ({
      kubeconfig: await config(site, {
        user: { ...certificateOf(site, "alice"), "client-certificate": "HERE/b.crt", "client-key": "HERE/b.key" },
      }),
      files: { "b.crt": site.pki.read("bob.crt"), "b.key": site.pki.read("bob.key") },
    }),
    kubectlSays: /client-cert-data and client-cert are both specified/,
    fails: { reason: "KubeconfigInvalid", says: /client-certificate and client-certificate-data/ },
  },
  {
    name: "a certificate and a token: both",
    given: async (site) => ({ kubeconfig: await config(site, { user: { ...certificateOf(site, "alice"), token: "t" } }) }),
    arrives: "certificate=alice authorization=Bearer t",
  },
  {
    name: "a certificate without a key",
    given: async (site) => ({ kubeconfig: await config(site, { user: { "client-certificate-data": site.pki.data("alice.crt") } }) }),
    kubectlSays: /client-key/,
    fails: { reason: "CredentialsUnusable", says: /client-key/ },
  },
  {
    name: "a certificate without a key, beside a token",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { "client-certificate-data": site.pki.data("alice.crt"), token: "t" } }),
    }),
    kubectlSays: /client-key/,
    fails: { reason: "CredentialsUnusable", says: /client-key/ },
  },
  {
    name: "a key without a certificate",
    given: async (site) => ({ kubeconfig: await config(site, { user: { "client-key-data": site.pki.data("alice.key") } }) }),
    better: "kubectl asks for a user name, of a standard input that may be somebody else's",
    kubectlSays: /EOF/,
    fails: { reason: "CredentialsUnusable", says: /client-certificate/ },
  },
  {
    name: "the key of another certificate",
    given: async (site) => ({
      kubeconfig: await config(site, {
        user: { "client-certificate-data": site.pki.data("alice.crt"), "client-key-data": site.pki.data("stranger.key") },
      }),
    }),
    kubectlSays: /private key does not match public key/,
    fails: { reason: "CredentialsUnusable", says: /client-key-data/ },
  },
  {
    name: "a key behind a passphrase",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { "client-certificate-data": site.pki.data("alice.crt"), "client-key": "HERE/locked.key" } }),
      files: { "locked.key": site.pki.read("locked.key") },
    }),
    kubectlSays: /private key/,
    fails: { reason: "CredentialsUnusable", says: /HERE\/locked\.key.*passphrase/s },
  },
  {
    name: "a key that is no base64",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { "client-certificate-data": site.pki.data("alice.crt"), "client-key-data": "-----BEGIN!" } }),
    }),
    kubectlSays: /illegal base64/,
    fails: { reason: "KubeconfigInvalid", says: /client-key-data/ },
  },
  {
    name: "a certificate file that is not there",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { "client-certificate": "HERE/none.crt", "client-key": "HERE/none.key" } }),
    }),
    kubectlSays: /unable to read client-cert/,
    fails: { reason: "CredentialsUnusable", says: /HERE\/none\.crt/ },
  },
  {
    name: "a certificate that is none",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { "client-certificate": "HERE/a.crt", "client-key-data": site.pki.data("alice.key") } }),
      files: { "a.crt": "hello" },
    }),
    kubectlSays: /failed to find any PEM data/,
    fails: { reason: "CredentialsUnusable", says: /HERE\/a\.crt/ },
  },
  {
    name: "a user without credentials",
    given: async (site) => ({ kubeconfig: await config(site) }),
    better: "kubectl asks for a user name; here a refusal says that no credentials were sent",
    kubectlSays: /EOF/,
    arrives: /^main: GET \S+ host=\S+ sni=none$/,
  },
  {
    name: "a context without a user",
    given: async (site) => ({ kubeconfig: await config(site, { context: { user: undefined } }) }),
    better: "kubectl asks for a user name; here a refusal says that no credentials were sent",
    kubectlSays: /EOF/,
    arrives: /^main: GET \S+ host=\S+ sni=none$/,
  },
  {
    name: "a context that names a user who is not there",
    given: async (site) => ({ kubeconfig: await config(site, { context: { user: "nobody" } }) }),
    better: "kubectl asks for a user name",
    kubectlSays: /EOF/,
    fails: { reason: "NoSuchContext", says: /"nobody"/ },
  },
  {
    name: "a context that names a user who is not there, and --token",
    given: async (site) => ({ kubeconfig: await config(site, { context: { user: "nobody" } }), args: ["--token", "t"] }),
    arrives: "authorization=Bearer t",
  },
  {
    name: "an auth provider that nobody knows",
    given: async (site) => ({ kubeconfig: await config(site, { user: { "auth-provider": { name: "acme" } } }) }),
    kubectlSays: /no Auth Provider found for name "acme"/,
    fails: { reason: "CredentialsUnusable", says: /"acme"/ },
  },
  {
    name: "the auth provider gcp",
    given: async (site) => ({
      kubeconfig: await config(site, { user: { "auth-provider": { name: "gcp", config: { "access-token": "g" } } } }),
    }),
    better: "kubectl has given it up, and whoever has such a kubeconfig still means it",
    kubectlSays: /gcp auth plugin has been removed/,
    arrives: "authorization=Bearer g",
  },
  {
    name: "the auth provider azure, with a token of a command",
    given: async (site) => {
      const settings = {
        "cmd-path": "HERE/login",
        "token-key": "{.token}",
        "expiry-key": "{.until}",
        "access-token": "old",
        expiry: "2020-01-01T00:00:00Z",
      };
      return {
        kubeconfig: await config(site, { user: { "auth-provider": { name: "azure", config: settings } } }),
        files: { login: `#!/bin/sh\necho '{"token": "new", "until": "2099-01-01T00:00:00Z"}'\n` },
      };
    },
    better: "as above",
    kubectlSays: /azure auth plugin has been removed/,
    arrives: "authorization=Bearer new",
  },
];
