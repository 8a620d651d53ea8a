import type { InetSkEntry, NetlinkSkEntry, PacketSockEntry, UnixSkEntry } from "../gen/sockets_pb.ts";
import { nameText } from "../../model/name.ts";
import { hex, octal } from "../numbers.ts";
import { details, named, type OpenFile, type Socket } from "./file.ts";

/** A socket of the Internet families. `bigEndian`: the byte order of the images. */
export function inetSocket(entry: InetSkEntry, bigEndian: boolean): OpenFile {
  const { id, flags, ino, family, type, proto, state, srcPort, dstPort, srcAddr, dstAddr, backlog, v6only, shutdown, ifname } = entry;
  const connected = dstPort !== 0 || dstAddr.some((word) => word !== 0);
  const protocol = named(PROTOCOLS, proto);
  return socketFile(id, flags, {
    protocol,
    family: family === AF_INET6 ? "inet6" : "inet",
    kind: named(KINDS, type),
    // What has no connections is "closed" for the kernel.
    state: proto !== TCP && state === CLOSE ? "UNCONNECTED" : named(STATES, state),
    local: endpoint(ipAddress(srcAddr, bigEndian), srcPort),
    remote: connected ? endpoint(ipAddress(dstAddr, bigEndian), dstPort) : "",
    inode: ino,
    peer: undefined,
    netNamespace: entry.nsId,
    details: details({
      backlog: state === LISTEN && backlog,
      v6only: family === AF_INET6 && v6only,
      shutdown: SHUTDOWN[shutdown],
      device: ifname,
      nodelay: entry.tcpOpts?.nodelay,
      cork: entry.tcpOpts?.cork,
      freebind: entry.ipOpts?.freebind,
      headerIncluded: entry.ipOpts?.raw?.hdrincl,
      ...options(entry),
    }),
  });
}

/** A unix socket, by the path or abstract name ("@…") that it is bound to. */
export function unixSocket(entry: UnixSkEntry): OpenFile {
  const { id, flags, ino, type, state, peer, backlog, name, nameDir, shutdown, deleted } = entry;
  return socketFile(id, flags, {
    protocol: "unix",
    family: "unix",
    kind: named(KINDS, type),
    state: state === CLOSE ? "UNCONNECTED" : named(STATES, state),
    local: unixName(Buffer.from(name), nameDir),
    remote: "",
    inode: ino,
    peer: peer === 0 ? undefined : peer,
    netNamespace: entry.nsId,
    details: details({
      backlog: state === LISTEN && backlog,
      shutdown: SHUTDOWN[shutdown],
      deleted,
      mode: entry.filePerms && octal(entry.filePerms.mode),
      ...options(entry),
    }),
  });
}

/** A netlink socket, by its protocol and port. */
export function netlinkSocket(entry: NetlinkSkEntry): OpenFile {
  const { id, flags, ino, protocol, portid, dstPortid, groups } = entry;
  const name = named(NETLINK_PROTOCOLS, protocol);
  return socketFile(id, flags, {
    protocol: "netlink",
    family: "netlink",
    kind: "raw",
    state: undefined,
    local: `${name}:${portid}`,
    remote: dstPortid === 0 ? "" : `${name}:${dstPortid}`,
    inode: ino,
    peer: undefined,
    netNamespace: entry.nsId,
    details: details({ groups: groups.some((word) => word !== 0) && groups.map((word) => `0x${word.toString(16)}`), ...options(entry) }),
  });
}

/** A packet socket, by the frames that it receives and the number of its device. */
export function packetSocket(entry: PacketSockEntry, bigEndian: boolean): OpenFile {
  const { id, flags, type, protocol, ifindex } = entry;
  const ethertype = bigEndian ? protocol : ((protocol & 0xff) << 8) | (protocol >> 8);
  return socketFile(id, flags, {
    protocol: "packet",
    family: "packet",
    kind: named(KINDS, type),
    state: undefined,
    local: `${named(ETHERTYPES, ethertype)}:${ifindex === 0 ? "*" : `if${ifindex}`}`,
    remote: "",
    inode: 0,
    peer: undefined,
    netNamespace: entry.nsId,
    details: details(options(entry)),
  });
}

function socketFile(id: number, flags: number, socket: Socket): OpenFile {
  return {
    id,
    type: "socket",
    name: socket.inode === 0 ? socket.protocol : `${socket.protocol}:[${socket.inode}]`,
    flags,
    details: {},
    socket,
  };
}

function options({ opts }: Pick<InetSkEntry | UnixSkEntry | NetlinkSkEntry | PacketSockEntry, "opts">) {
  return {
    keepalive: opts?.soKeepalive ?? false,
    reuseaddr: opts?.reuseaddr ?? false,
    reuseport: opts?.soReuseport ?? false,
    passcred: opts?.soPasscred ?? false,
    passsec: opts?.soPasssec ?? false,
    broadcast: opts?.soBroadcast ?? false,
    dontroute: opts?.soDontroute ?? false,
    mark: opts !== undefined && opts.soMark !== 0 && hex(opts.soMark),
    priority: opts !== undefined && opts.soPriority !== 0 && opts.soPriority,
    boundDevice: opts?.soBoundDev,
    filterInstructions: opts !== undefined && opts.soFilter.length > 0 && opts.soFilter.length,
    // As getsockopt tells them: twice what was asked for.
    sendBufferBytes: opts?.soSndbuf,
    receiveBufferBytes: opts?.soRcvbuf,
  };
}

function unixName(name: Buffer, directory: string): string {
  if (name.length === 0) return "";
  if (name[0] === 0) return `@${nameText(name.subarray(1))}`;
  const end = name.indexOf(0);
  const path = nameText(end < 0 ? name : name.subarray(0, end));
  return path.startsWith("/") || directory === "" ? path : `${directory}/${path}`;
}

const AF_INET6 = 10;
const TCP = 6;
const CLOSE = 7;
const LISTEN = 10;

const KINDS = { 1: "stream", 2: "datagram", 3: "raw", 4: "rdm", 5: "seqpacket", 10: "packet" } as const;
const PROTOCOLS = { 0: "ip", 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 136: "udplite", 255: "raw", 262: "mptcp" } as const;
const SHUTDOWN: readonly (string | undefined)[] = [undefined, "read", "write", "both"];
/** From the kernel's tcp_states.h; unix sockets have the same. */
const STATES = {
  1: "ESTABLISHED",
  2: "SYN_SENT",
  3: "SYN_RECV",
  4: "FIN_WAIT1",
  5: "FIN_WAIT2",
  6: "TIME_WAIT",
  7: "CLOSE",
  8: "CLOSE_WAIT",
  9: "LAST_ACK",
  10: "LISTEN",
  11: "CLOSING",
  12: "NEW_SYN_RECV",
} as const;
const NETLINK_PROTOCOLS = {
  0: "route",
  2: "usersock",
  4: "sock-diag",
  5: "nflog",
  6: "xfrm",
  7: "selinux",
  9: "audit",
  10: "fib-lookup",
  11: "connector",
  12: "netfilter",
  15: "kobject-uevent",
  16: "generic",
  20: "rdma",
  21: "crypto",
} as const;
const ETHERTYPES = { 0x0003: "all", 0x0800: "ip", 0x0806: "arp", 0x86dd: "ipv6", 0x88cc: "lldp" } as const;

/**
 * An Internet address as people write it, from the 32-bit words of an image: CRIU keeps the kernel's words as numbers
 * of its machine, so their bytes in that machine's order are the address.
 */
export function ipAddress(words: readonly number[], bigEndian: boolean): string {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) {
    if (bigEndian) bytes.writeUInt32BE(word, index * 4);
    else bytes.writeUInt32LE(word, index * 4);
  }
  if (bytes.length === 4) return dotted(bytes);
  if (bytes.length !== 16) return bytes.toString("hex");
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  return mapped ? `::ffff:${dotted(bytes.subarray(12))}` : compressed(bytes);
}

/** Address and port, the address of IPv6 in brackets. */
export function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function dotted(bytes: Buffer): string {
  return bytes.join(".");
}

/** RFC 5952: the longest run of zeros, of two words at least, becomes "::". */
function compressed(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  let from = 0;
  let length = 1;
  for (let start = 0; start < 8; start += 1) {
    let end = start;
    while (words[end] === "0") end += 1;
    if (end - start > length) [from, length] = [start, end - start];
  }
  if (length === 1) return words.join(":");
  return `${words.slice(0, from).join(":")}::${words.slice(from + length).join(":")}`;
}
