import { list, object } from "../../model/json.ts";
import type { Archive } from "../archive.ts";
import { readObject } from "../read.ts";
import { text } from "./files.ts";

/** A network that the container was connected to. */
export interface Network {
  /** The engine's name for it: "podman". */
  readonly name: string;
  /** Inside the container: "eth0". */
  readonly interface: string;
  /** With the length of their prefix. */
  readonly ips: readonly string[];
  readonly macs: readonly string[];
  readonly gateways: readonly string[];
}

/** Of network.status, which only Podman writes. Throws a UserError where it cannot be read. */
export async function networks(archive: Archive): Promise<Network[]> {
  const status = await readObject(archive, "network.status");
  return Object.entries(status).flatMap(([name, network]) =>
    Object.entries(object(object(network)["interfaces"])).map(([device, details]) => {
      const { subnets, mac_address: mac } = object(details);
      const all = list(subnets).map(object);
      return {
        name,
        interface: device,
        ips: all.flatMap(({ ipnet }) => text(ipnet) ?? []),
        macs: [text(mac) ?? []].flat(),
        gateways: all.flatMap(({ gateway }) => text(gateway) ?? []),
      };
    }),
  );
}
