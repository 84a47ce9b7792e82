// SPDX-License-Identifier: Apache-2.0
// A machine's console as a program sees it: bytes in, bytes out. What nobody listens to is kept, as far as it fits, for
// whoever comes first (a terminal that is still loading). A listener that returns a promise holds the machine's output
// back until it is resolved, so a guest that prints faster than a terminal draws does not fill the tab's memory.

export type ConsoleListener = (bytes: Uint8Array) => void | Promise<void>;

const kKept = 256 * 1024; // bytes

export class ConsoleStream {
  private readonly send: (bytes: Uint8Array) => void;
  private readonly listeners = new Set<ConsoleListener>();
  private readonly enders = new Set<() => void>();
  private kept: Uint8Array[] = [];
  private keptSize = 0;
  private ended = false;

  /** `send`: takes input to the machine. */
  constructor(send: (bytes: Uint8Array) => void) {
    this.send = send;
  }

  /** Types into the console. Text is sent as UTF-8. */
  write(data: string | Uint8Array): void {
    if (typeof data !== 'string' && !(data instanceof Uint8Array)) {
      throw new TypeError('console.write takes a string or a Uint8Array.');
    }
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data.slice();
    if (bytes.length > 0) this.send(bytes);
  }

  /** Calls `listener` for every piece of output, first for what was kept. Returns a function that ends it. */
  onData(listener: ConsoleListener): () => void {
    const kept = this.kept;
    this.kept = [];
    this.keptSize = 0;
    this.listeners.add(listener);
    for (const bytes of kept) void listener(bytes);
    return () => void this.listeners.delete(listener);
  }

  /** Output as an async sequence that ends with the machine; what is not taken holds the machine's output back. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    const queue: { bytes: Uint8Array; taken: () => void }[] = [];
    let wake: (() => void) | undefined;
    const woken = (): void => wake?.();
    const remove = this.onData(
      (bytes) =>
        new Promise((taken) => {
          queue.push({ bytes, taken });
          woken();
        }),
    );
    this.enders.add(woken);
    try {
      for (;;) {
        const next = queue.shift();
        if (next !== undefined) {
          next.taken();
          yield next.bytes;
        } else if (this.ended) {
          return;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    } finally {
      remove();
      this.enders.delete(woken);
      for (const { taken } of queue) taken();
    }
  }

  /** For Machine: hands output to the listeners; resolves when they have taken it. */
  async deliver(bytes: Uint8Array): Promise<void> {
    if (this.listeners.size === 0) {
      this.keep(bytes);
      return;
    }
    // One listener's failure must not stop the others, nor the flow.
    const results = [...this.listeners].map(async (listener) => listener(bytes));
    for (const result of await Promise.allSettled(results)) {
      if (result.status === 'rejected') reportError(result.reason);
    }
  }

  /** For Machine: no output will follow. */
  end(): void {
    this.ended = true;
    for (const wake of this.enders) wake();
  }

  private keep(bytes: Uint8Array): void {
    this.kept.push(bytes);
    this.keptSize += bytes.length;
    while (this.keptSize > kKept && this.kept.length > 1) this.keptSize -= this.kept.shift()?.length ?? 0;
  }
}

function reportError(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
