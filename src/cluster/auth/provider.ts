import type { Authenticator } from "@kubernetes/client-node/dist/auth.js";
import type { User } from "@kubernetes/client-node/dist/config_types.js";
import type { Context } from "../../model/context.ts";
import { object, string } from "../../model/json.ts";
import { say } from "../../model/phrase.ts";
import type { Entry, UserPlace } from "../kubeconfig/options.ts";
import { unusable } from "./tls.ts";
import type { Source } from "./source.ts";

/** Of users[].user.auth-provider: oidc here, and by client-node those of clouds, which kubectl has given up. Throws CredentialsUnusable. */
export async function authProvider(provider: Entry, place: UserPlace | undefined, context: Context): Promise<Source> {
  const name = string(provider["name"]);
  if (name === "oidc") {
    const { OidcProvider } = await import("./oidc.ts");
    return new OidcProvider(object(provider["config"]), place, context);
  }
  if (name === "gcp") {
    const { GoogleCloudPlatformAuth } = await import("@kubernetes/client-node/dist/gcp_auth.js");
    return ofClientNode(new GoogleCloudPlatformAuth(), provider);
  }
  if (name === "azure") {
    const { AzureAuth } = await import("@kubernetes/client-node/dist/azure_auth.js");
    return ofClientNode(new AzureAuth(), provider);
  }
  throw unusable(say`unknown auth provider "${name}"`, "oidc, gcp and azure are supported; other logins are exec plugins");
}

/** They keep what they have got in the user that they are given. */
function ofClientNode(authenticator: Authenticator, provider: Entry): Source {
  const user = { name: "user", authProvider: structuredClone(provider) } as unknown as User;
  return {
    async part(refused) {
      const config = object((user.authProvider as Entry)["config"]) as Record<string, unknown>;
      if (refused && config["cmd-path"] !== undefined) delete config["access-token"];
      const options = { headers: {} as Record<string, string> };
      await authenticator.applyAuthentication(user, options);
      const { Authorization: authorization } = options.headers;
      if (authorization === undefined) throw unusable(say`the auth provider "${string(provider["name"])}" has no token`);
      return { authorization, kind: "token" };
    },
  };
}
