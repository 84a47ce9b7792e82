// SPDX-License-Identifier: Apache-2.0
// MachineHost for Node 24: the same workers, straight from their TypeScript, on worker_threads. For tests.
import { readFile } from 'node:fs/promises';
import { Worker, type Transferable as NodeTransferable } from 'node:worker_threads';
import type { MachineHost, WorkerHandle, WorkerKind } from '../api/host.ts';

class NodeWorker<In, Out> implements WorkerHandle<In, Out> {
  onMessage: (message: Out) => void = () => {};
  onError: (message: string) => void = () => {};
  private readonly worker: Worker;

  constructor(kind: WorkerKind, name: string) {
    this.worker = new Worker(new URL(`../../workers/${kind}-worker.ts`, import.meta.url), { name });
    this.worker.on('message', (message: Out) => this.onMessage(message));
    this.worker.on('error', (error: unknown) => this.onError(error instanceof Error ? (error.stack ?? error.message) : String(error)));
  }
  post(message: In, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer as NodeTransferable[]);
  }
  terminate(): void {
    void this.worker.terminate();
  }
}

export const coreFile: URL = process.env['HARTWOOD_CORE'] === undefined
  ? new URL('../../build/wasm/hartwood_core.wasm', import.meta.url)
  : new URL(process.env['HARTWOOD_CORE'], 'file:///');

export function makeNodeHost(): MachineHost {
  let core: Promise<WebAssembly.Module> | null = null;
  return {
    files: { kernel: null, initrd: null, snapshot: null },
    baseUrl: undefined,
    checkSupport() {},
    compileCore: () => (core ??= readFile(coreFile).then((bytes) => WebAssembly.compile(bytes))),
    startWorker: (kind, name) => new NodeWorker(kind, name),
  };
}
