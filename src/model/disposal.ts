/**
 * Things to dispose of when a block ends, the last one first. For `await using`. AsyncDisposableStack does this, but Node.js has it from
 * version 24 on only, and `npm install` promises 22.19.
 */
export class Disposal implements AsyncDisposable {
  #works: (() => PromiseLike<void>)[] = [];

  use<T extends AsyncDisposable>(thing: T): T {
    this.defer(() => thing[Symbol.asyncDispose]());
    return thing;
  }

  defer(work: () => PromiseLike<void>): void {
    this.#works.push(work);
  }

  /** Nothing is disposed of any more: it is somebody else's. */
  release(): void {
    this.#works = [];
  }

  /** All of it is tried. Throws the last failure. */
  async [Symbol.asyncDispose](): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    for (let work = this.#works.pop(); work !== undefined; work = this.#works.pop()) {
      try {
        await work();
      } catch (error) {
        failure = { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}
