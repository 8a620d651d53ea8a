// The auth provider "oidc": its tokens are renewed, and written back.
import type { Site } from "../site.ts";
import { idToken } from "../servers.ts";
import type { Case, Given } from "../table.ts";
import { config } from "./kubeconfig.ts";

const EXPIRED = idToken("expired", -60);
const VALID = idToken("valid", 3600);

async function oidc(site: Site, more: object, { rotates = false, lacksIdToken = false } = {}): Promise<Given> {
  const { url } = await site.issuer({ rotates, lacksIdToken });
  const settings = {
    "idp-issuer-url": `${url}/realm`,
    "idp-certificate-authority-data": site.pki.data("ca.crt"),
    "client-id": "kube",
    "refresh-token": "r",
    ...more,
  };
  return { kubeconfig: await config(site, { user: { "auth-provider": { name: "oidc", config: settings } } }) };
}

const RENEWED = /authorization=Bearer \S+/;

export const OIDC: readonly Case[] = [
  {
    name: "oidc: a token that is good",
    given: async (site) => await oidc(site, { "id-token": VALID }),
    arrives: `authorization=Bearer ${VALID}`,
    refreshes: [],
  },
  {
    name: "oidc: an expired token is renewed",
    given: async (site) => await oidc(site, { "id-token": EXPIRED }),
    arrives: RENEWED,
    refreshes: ["refresh_token r of kube:"],
  },
  {
    name: "oidc: a token that expires within ten seconds",
    given: async (site) => await oidc(site, { "id-token": idToken("soon", 5) }),
    arrives: RENEWED,
    refreshes: ["refresh_token r of kube:"],
  },
  { name: "oidc: no token yet", given: async (site) => await oidc(site, {}), arrives: RENEWED, refreshes: ["refresh_token r of kube:"] },
  {
    name: "oidc: a client's secret",
    given: async (site) => await oidc(site, { "id-token": EXPIRED, "client-id": "confidential", "client-secret": "s3cret" }),
    arrives: RENEWED,
    refreshes: ["refresh_token r of confidential:s3cret"],
  },
  {
    name: "oidc: the issuer's CA in a file",
    given: async (site) => ({
      ...(await oidc(site, {
        "id-token": EXPIRED,
        "idp-certificate-authority-data": undefined,
        "idp-certificate-authority": "HERE/idp.crt",
      })),
      files: { "idp.crt": site.pki.read("ca.crt") },
    }),
    arrives: RENEWED,
  },
  {
    name: "oidc: an issuer whom nobody trusts",
    given: async (site) => await oidc(site, { "id-token": EXPIRED, "idp-certificate-authority-data": site.pki.data("system.crt") }),
    kubectlSays: /certificate signed by unknown authority/,
    fails: { reason: "TokenNotRenewed", says: /https:\/\/127\.0\.0\.1:\d+\/realm/ },
  },
  {
    name: "oidc: a refresh token that is rotated is written back",
    given: async (site) => await oidc(site, { "id-token": EXPIRED }, { rotates: true }),
    arrives: RENEWED,
    refreshes: ["refresh_token r of kube:"],
  },
  {
    name: "oidc: an expired token and no refresh token",
    given: async (site) => await oidc(site, { "id-token": EXPIRED, "refresh-token": undefined }),
    kubectlSays: /cannot refresh without refresh-token/,
    fails: { reason: "TokenNotRenewed", says: /refresh-token/ },
  },
  {
    name: "oidc: an issuer that gives no id token",
    given: async (site) => await oidc(site, { "id-token": EXPIRED }, { lacksIdToken: true }),
    kubectlSays: /did not contain an id_token/,
    fails: { reason: "TokenNotRenewed", says: /id_token/ },
  },
  {
    name: "oidc: a token that is none",
    given: async (site) => await oidc(site, { "id-token": "hello" }),
    kubectlSays: /not a valid JWT/,
    fails: { reason: "CredentialsUnusable", says: /id-token/ },
  },
  {
    name: "oidc: no issuer",
    given: async (site) => await oidc(site, { "idp-issuer-url": undefined, "id-token": VALID }),
    kubectlSays: /Must provide idp-issuer-url/,
    fails: { reason: "CredentialsUnusable", says: /idp-issuer-url/ },
  },
  {
    name: "oidc: no client id",
    given: async (site) => await oidc(site, { "client-id": undefined, "id-token": VALID }),
    kubectlSays: /Must provide client-id/,
    fails: { reason: "CredentialsUnusable", says: /client-id/ },
  },
  {
    name: "oidc, and --token",
    given: async (site) => ({ ...(await oidc(site, { "id-token": EXPIRED })), args: ["--token", "flag"] }),
    arrives: "Bearer flag",
    refreshes: [],
  },
];
