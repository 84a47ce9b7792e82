// SPDX-License-Identifier: Apache-2.0
// What differs between a Web Worker and a Node worker thread (24 or newer), so that nothing else has to know. Runs in
// every worker. No import at run time: a module with top-level await could miss the first message.

/** The port to whoever made this worker. */
export interface ParentPort<In, Out> {
  onmessage: ((event: { data: In }) => void) | null;
  postMessage(message: Out, transfer?: Transferable[]): void;
}

interface NodeProcess {
  versions?: { node?: string };
  getBuiltinModule?(name: string): { parentPort: ParentPort<unknown, unknown> };
}
declare const setImmediate: (callback: () => void) => void;

const nodeProcess = (globalThis as { process?: NodeProcess }).process;
const inNode = nodeProcess?.versions?.node !== undefined;

export function parentPort<In, Out>(): ParentPort<In, Out> {
  const port = inNode ? nodeProcess?.getBuiltinModule?.('node:worker_threads').parentPort : globalThis;
  if (port === undefined || port === null) throw new Error('This file is meant to run in a worker.');
  return port as ParentPort<In, Out>;
}

/**
 * Makes a function that gives the event loop one turn: messages which have arrived are delivered before it resolves.
 * setTimeout would be clamped to 4 ms. A Node port is drained of up to a thousand messages before the next one gets its
 * turn, so a worker that posts to itself would starve its other ports there: setImmediate instead.
 */
export function makeTurn(): () => Promise<void> {
  if (inNode) return () => new Promise((resolve) => setImmediate(resolve));
  let resume: (() => void) | undefined;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => resume?.();
  return () =>
    new Promise((resolve) => {
      resume = resolve;
      port2.postMessage(0);
    });
}

/**
 * Milliseconds since `epoch`, the page's performance.timeOrigin + performance.now() at the machine's start. Every worker
 * has a time origin of its own; the difference is taken first because 1.7e12 ms has steps of 0.24 us.
 */
export function makeClock(epoch: number): () => number {
  const offset = performance.timeOrigin - epoch;
  return () => performance.now() + offset;
}

export const epochNow = (): number => performance.timeOrigin + performance.now();

export function describeError(error: unknown): { message: string; detail: string } {
  if (error instanceof Error) return { message: error.message, detail: error.stack ?? String(error) };
  return { message: String(error), detail: String(error) };
}
