/** What arrived is not what was asked for: too little, too much, or nothing that decodes. As good as a cut, and worth another try. */
export class Malformed extends Error {}

/** Where plain bytes go. Where one of these answers with a promise, no more come until that has settled. */
export interface Plain {
  /** The piece is only there until this returns. */
  write(piece: Buffer): Promise<void> | undefined;
  /** The piece is handed over; `release` is called when nobody needs it any more. */
  take(piece: Buffer, release: () => void): Promise<void> | undefined;
  /** A place for so many bytes, which are in it when `filled` is called; undefined where there is none: then they are written. */
  place(length: number): Buffer | undefined;
  filled(length: number): Promise<void> | undefined;
}
