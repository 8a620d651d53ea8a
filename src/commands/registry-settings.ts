import type { RegistrySettings } from "../flows/restore/image/registries.ts";
import type { Flags } from "../model/flags.ts";

/** How registries are reached. */
export function registrySettings(flags: Flags): RegistrySettings {
  return {
    caFile: flags.text("ca-file"),
    plainHttp: flags.on("plain-http"),
    registryConfig: flags.text("registry-config"),
    allowPublic: flags.on("allow-public"),
  };
}
