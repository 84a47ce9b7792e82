// SPDX-License-Identifier: Apache-2.0
// The page's side of MachineHost: module workers, a core that is compiled while it arrives, files beside the page. The
// names of the built files carry hashes and are put in by the build.
import type { FromStorage, ToStorage } from '../../workers/protocol.ts';
import { MachineError } from './errors.ts';
import type { MachineHost, WorkerHandle, WorkerKind } from './host.ts';

/** File names relative to this script's folder. */
export interface Assets {
  core: string;
  workers: Record<WorkerKind | 'storage', string>;
  kernel: { file: string; size: number };
  initrd: { file: string; size: number };
  snapshot: { file: string; size: number };
}

declare const HARTWOOD_ASSETS: Assets; // defined by tools/build-web.mjs

const assetUrl = (name: string): string => new URL(name, import.meta.url).href;

/** Why a machine cannot run here, and what to do about it; null where it can. */
export function whyUnsupported(): string | null {
  if (typeof WebAssembly !== 'object') {
    return 'This browser has no WebAssembly, or a policy of this page or device turns it off.';
  }
  if (!globalThis.isSecureContext) {
    return 'This page was not loaded over HTTPS (or from localhost), so the browser gives it no shared memory. '
      + 'Open it with an address that begins with https://.';
  }
  if (!globalThis.crossOriginIsolated) {
    const cause = window.parent === window
      ? 'This page is not cross-origin isolated, so the browser gives it no shared memory (SharedArrayBuffer), which the '
        + 'machine\'s processors need. '
      : 'This frame is not cross-origin isolated, so the browser gives it no shared memory (SharedArrayBuffer). The '
        + 'surrounding page must be isolated too and have allow="cross-origin-isolated" on the iframe. ';
    return `${cause}The server must send the headers "Cross-Origin-Opener-Policy: same-origin" and `
      + '"Cross-Origin-Embedder-Policy: require-corp".';
  }
  if (typeof SharedArrayBuffer !== 'function') {
    return 'This browser has no shared memory (SharedArrayBuffer). A current Chromium, Firefox or Safari has.';
  }
  return null;
}

class BrowserWorker<In, Out> implements WorkerHandle<In, Out> {
  onMessage: (message: Out) => void = () => {};
  onError: (message: string) => void = () => {};
  private readonly worker: Worker;

  constructor(kind: keyof Assets['workers'], name: string) {
    this.worker = new Worker(assetUrl(HARTWOOD_ASSETS.workers[kind]), { type: 'module', name });
    this.worker.onmessage = ({ data }: MessageEvent<Out>) => this.onMessage(data);
    this.worker.onmessageerror = () => this.onError('a message could not be read');
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.onError(event.message || 'its script could not be loaded');
    };
  }
  post(message: In, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }
  terminate(): void {
    this.worker.terminate();
  }
}

/** A worker that belongs to no machine. */
export const startStorageWorker = (): WorkerHandle<ToStorage, FromStorage> => new BrowserWorker('storage', 'hartwood storage');

/** One per page: it keeps the compiled core for the next machine. */
export function makeBrowserHost(): MachineHost {
  let core: Promise<WebAssembly.Module> | null = null;
  const file = ({ file: name, size }: Assets['kernel']) => ({ url: assetUrl(name), size });
  return {
    files: {
      kernel: file(HARTWOOD_ASSETS.kernel), initrd: file(HARTWOOD_ASSETS.initrd), snapshot: file(HARTWOOD_ASSETS.snapshot),
    },
    baseUrl: document.baseURI,
    checkSupport() {
      const why = whyUnsupported();
      if (why !== null) throw new MachineError('no-shared-memory', why);
    },
    compileCore() {
      core ??= WebAssembly.compileStreaming(fetch(assetUrl(HARTWOOD_ASSETS.core))).catch((error: unknown) => {
        core = null; // the next attempt may find a connection
        throw new MachineError('fetch-failed', `The emulator's core could not be loaded: ${String(error)}`);
      });
      return core;
    },
    startWorker: (kind, name) => new BrowserWorker(kind, name),
    watchFreezing(listener) {
      const [freeze, resume] = [(): void => listener(true), (): void => listener(false)];
      document.addEventListener('freeze', freeze);
      document.addEventListener('resume', resume);
      return () => {
        document.removeEventListener('freeze', freeze);
        document.removeEventListener('resume', resume);
      };
    },
  };
}
