/** Bytes that can be read at any place: a file here, or ranges of a file on a node. */
export interface Source {
  /** In bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`.
   * Throws when they are not all there: a source never answers with fewer bytes than were asked for.
   * `into`, of at least that length, may be used for the answer: who reads much so makes no garbage of it.
   */
  read(offset: number, length: number, into?: Buffer): Promise<Buffer>;
}
