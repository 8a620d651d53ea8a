/** Bytes that can be read at any place: a file here, or ranges of a file on a node. */
export interface Source {
  /** In bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`.
   * Throws when they are not all there: a source never answers with fewer bytes than were asked for.
   */
  read(offset: number, length: number): Promise<Buffer>;
}
