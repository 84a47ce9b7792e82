// SPDX-License-Identifier: Apache-2.0
// Waiting for a word of shared memory without blocking the event loop: Atomics.waitAsync where there is one, else a timer
// that slows down while nothing happens. Used by the io worker only; a hart blocks in the core's own wait.

interface WaitAsync {
  (words: Int32Array, index: number, value: number): { async: boolean; value: Promise<string> | string };
}

const kFirstPollMs = 2;
const kSlowestPollMs = 50;

/** Resolves when `words[index]` is no longer `seen`, or now and then for no reason: the caller looks again. */
export type WaitForChange = (words: Int32Array, index: number, seen: number) => Promise<void>;

/** `waitAsync`: the platform's, or null to poll. */
export function makeWaitForChange(
  waitAsync: WaitAsync | null = (Atomics as { waitAsync?: WaitAsync }).waitAsync ?? null,
): WaitForChange {
  if (waitAsync !== null) {
    return async (words, index, seen) => {
      const result = waitAsync(words, index, seen);
      if (result.async) await result.value;
    };
  }
  return async (words, index, seen) => {
    for (let pause = kFirstPollMs; Atomics.load(words, index) === seen; pause = Math.min(pause * 2, kSlowestPollMs)) {
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  };
}
