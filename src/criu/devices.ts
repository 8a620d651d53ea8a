import type { Archive } from "../archive/archive.ts";
import { allEntries } from "./entries.ts";
import { NetDeviceEntrySchema } from "./gen/network_pb.ts";

/** A device of a network namespace. */
export interface NetworkDevice {
  readonly name: string;
  readonly type: string;
  readonly index: number;
  /** "02:42:ac:11:00:02"; absent where it has none. */
  readonly mac?: string;
  readonly mtu: number;
  readonly up: boolean;
}

const TYPES = ["unknown", "loopback", "veth", "tun", "external", "venet", "bridge", "macvlan", "sit"];
const UP = 1;

/** Of netdev-N.img, which engines that make the network anew leave out. Throws a UserError where it is damaged. */
export async function networkDevices(archive: Archive, namespace: number): Promise<NetworkDevice[]> {
  const devices: NetworkDevice[] = [];
  for await (const { name, type, ifindex, mtu, flags, address } of allEntries(archive, `netdev-${namespace}.img`, NetDeviceEntrySchema)) {
    const mac = [...address].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    devices.push({ name, type: TYPES[type] ?? String(type), index: ifindex, ...(mac === "" ? {} : { mac }), mtu, up: (flags & UP) !== 0 });
  }
  return devices;
}
