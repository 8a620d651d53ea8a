/** An archive in a node's checkpoint directory. */
export interface NodeArchive {
  readonly kind: "node";
  readonly node: string;
  /** Absolute, on the node. */
  readonly path: string;
}

/** An archive on this machine. */
export interface LocalArchive {
  readonly kind: "local";
  /** Absolute, here. */
  readonly path: string;
}

export function nodeArchive(node: string, path: string): NodeArchive {
  return { kind: "node", node, path };
}

export function localArchive(path: string): LocalArchive {
  return { kind: "local", path };
}

/** As the command line writes it: `NODE:PATH`, or the local path. */
export function location(archive: NodeArchive | LocalArchive): string {
  return archive.kind === "node" ? `${archive.node}:${archive.path}` : archive.path;
}
