import type { KeyObject, X509Certificate } from "node:crypto";
import { openPlain } from "../../../local/plain.ts";
import { sha256Of } from "../../../local/write.ts";

/** By what signatures and timestamps are checked, and the hashes of files. */
export class Trust {
  /** Of --key. */
  readonly key: KeyObject | undefined;
  /** Of --timestamp-ca. */
  readonly authorities: readonly X509Certificate[] | undefined;
  readonly signal: AbortSignal;
  readonly #hashes = new Map<string, Promise<string>>();

  constructor(signal: AbortSignal, key?: KeyObject, authorities?: readonly X509Certificate[]) {
    this.signal = signal;
    this.key = key;
    this.authorities = authorities;
  }

  /** SHA-256 of a file, in lowercase hexadecimal: each is read once. */
  async hashOf(path: string): Promise<string> {
    const known = this.#hashes.get(path) ?? this.#read(path);
    this.#hashes.set(path, known);
    return await known;
  }

  /** The same; undefined for what is no plain file, or cannot be read: it is not what anybody hashed. */
  async hashOrNone(path: string): Promise<string | undefined> {
    return await this.hashOf(path).catch(() => {
      this.signal.throwIfAborted();
      return undefined;
    });
  }

  async #read(path: string): Promise<string> {
    await using file = await openPlain(path);
    return await sha256Of(file, this.signal);
  }
}
