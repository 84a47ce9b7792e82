// SPDX-License-Identifier: Apache-2.0
// What Machine needs of its surroundings, so that the same class runs in a page and in Node.
import type { DefaultFiles } from './options.ts';

/** Those of a machine. */
export type WorkerKind = 'io' | 'hart' | 'clock' | 'compiler' | 'pager';

export interface WorkerHandle<In, Out> {
  post(message: In, transfer?: Transferable[]): void;
  onMessage: (message: Out) => void;
  /** The worker could not be loaded, or threw outside its own error handling. */
  onError: (message: string) => void;
  terminate(): void;
}

export interface MachineHost {
  /** Throws MachineError where a machine cannot run at all. */
  checkSupport(): void;
  /** The compiled core; compiled once, however many machines there are. */
  compileCore(): Promise<WebAssembly.Module>;
  startWorker<In, Out>(kind: WorkerKind, name: string): WorkerHandle<In, Out>;
  /** Has `listener` called when the browser is about to stop the page and its workers, and when they go on. Returns what ends that. */
  watchFreezing?(listener: (frozen: boolean) => void): () => void;
  /** The files that come with the page. */
  files: DefaultFiles;
  /** What relative addresses are relative to. */
  baseUrl: string | undefined;
}
