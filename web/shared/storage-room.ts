// SPDX-License-Identifier: Apache-2.0
// Whether a file could not be written because there is no room for it. Only a quota says so by its name. A disk that is full
// shows in other ways: Chromium keeps a large Blob on that same disk, and then cannot read it (NotReadableError); a write
// itself fails for reasons that no page is told (UnknownError, in Firefox a name of its own).

export type Estimate = () => Promise<{ quota?: number; usage?: number }>;

/** What is left of writing bytes that the page made itself, where it is no bug: nobody else could have taken them away. */
const kFull: readonly string[] = ['QuotaExceededError', 'NotReadableError', 'UnknownError', 'NS_ERROR_FILE_NO_DEVICE_SPACE', 'NS_ERROR_FILE_DISK_FULL', 'NS_ERROR_DOM_QUOTA_EXCEEDED_ERR'];
/** Bytes: files are written in blocks, and with names and dates. */
const kSlack = 64 * 1024;

/**
 * A QuotaExceededError, with `error` as its cause, where writing `bytes` failed for want of room; else `error`. The browser's
 * estimate of the room decides about errors that may mean anything.
 */
export async function judgeRoom(error: unknown, bytes: number, estimate: Estimate = () => navigator.storage.estimate()): Promise<unknown> {
  const name = error instanceof Error ? error.name : '';
  if (name === 'QuotaExceededError') return error;
  const full = kFull.includes(name) || (error instanceof DOMException && name !== 'AbortError' && await leavesTooLittle(bytes, estimate));
  return full ? Object.assign(new DOMException('There is no room for the file.', 'QuotaExceededError'), { cause: error }) : error;
}

async function leavesTooLittle(bytes: number, estimate: Estimate): Promise<boolean> {
  try {
    const { quota, usage } = await estimate();
    return quota !== undefined && usage !== undefined && quota - usage < bytes + kSlack;
  } catch {
    return false;
  }
}
