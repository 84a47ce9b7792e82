// SPDX-License-Identifier: Apache-2.0
// The page's side of workers/storage-worker.ts: a file of the browser's own storage, written where pages cannot write any.
import { startStorageWorker } from './browser-host.ts';

/**
 * Writes `data` to the file `name` of `folder`. Rejects with the exception of the storage, by its name, or with the
 * signal's reason; the file is closed then, and has a part of it.
 */
export async function writeInWorker(
  folder: string, name: string, data: Blob, { onProgress, signal }: { onProgress?: (bytes: number) => void; signal?: AbortSignal },
): Promise<void> {
  const worker = startStorageWorker();
  const cancel = (): void => worker.post({ type: 'cancel' });
  signal?.addEventListener('abort', cancel);
  try {
    await new Promise<void>((resolve, reject) => {
      worker.onMessage = (message) => {
        if (message.type === 'written') onProgress?.(message.bytes);
        else if (message.type === 'done') resolve();
        else reject(new DOMException(message.message, message.name));
      };
      worker.onError = (message) => reject(new Error(message));
      worker.post({ type: 'write', folder, name, data });
    });
  } finally {
    signal?.removeEventListener('abort', cancel);
    worker.terminate();
  }
  signal?.throwIfAborted();
}
