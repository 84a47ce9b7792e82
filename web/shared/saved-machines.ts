// SPDX-License-Identifier: Apache-2.0
// Machines that are kept in the browser's own storage (OPFS): one file for each, named after it. A file is written under
// another name and renamed when it is whole, so what is listed is whole; what an interrupted run left is cleared away.
import { kSnapshotConfigBytesAt, kSnapshotPrefixBytes } from '../../build/generated/layout.ts';
import { judgeRoom } from './storage-room.ts';

export interface SavedMachine {
  name: string;
  /** Milliseconds since 1970. */
  date: number;
  /** Bytes. */
  size: number;
  /** null: not to be read from the file. */
  harts: number | null;
  /** MiB */
  memory: number | null;
}

/** A failure to be shown as it is: it says what to do. */
export class StorageError extends Error {}

/** The part of a FileSystemDirectoryHandle that is used here. */
export interface Folder {
  getFileHandle(name: string, options?: { create?: boolean }): Promise<FileHandle>;
  removeEntry(name: string): Promise<void>;
  keys(): AsyncIterable<string>;
}
export interface FileHandle {
  getFile(): Promise<File>;
  createWritable?(): Promise<{ write(data: Blob): Promise<void>; close(): Promise<void>; abort?(): Promise<void> }>;
  move?(name: string): Promise<void>;
}

const kFolder = 'hartwood-machines';
const kEnding = '.hws';
const kPartial = '.partial';
export const kMostNameLength = 60;

// Names are anything; file names are not.
const fileName = (name: string): string => `${encodeURIComponent(name)}${kEnding}`;
const nameOf = (file: string): string => decodeURIComponent(file.slice(0, -kEnding.length));

export class SavedMachines {
  private readonly folder: Folder;

  /** Throws StorageError where the browser has no such storage, or not in this mode. */
  static async open(): Promise<SavedMachines> {
    try {
      const root = await navigator.storage.getDirectory();
      return new SavedMachines(await root.getDirectoryHandle(kFolder, { create: true }) as unknown as Folder);
    } catch (error) {
      throw new StorageError('This browser, or this mode of it, keeps no files for pages. Save the machine to a file instead.', { cause: error });
    }
  }

  constructor(folder: Folder) {
    this.folder = folder;
  }

  /** The newest first. */
  async list(): Promise<SavedMachine[]> {
    const found: SavedMachine[] = [];
    for await (const key of this.folder.keys()) {
      if (!key.endsWith(kEnding)) continue;
      const file = await (await this.folder.getFileHandle(key)).getFile();
      found.push({ name: nameOf(key), date: file.lastModified, size: file.size, ...await readConfiguration(file) });
    }
    return found.sort((a, b) => b.date - a.date);
  }

  /** Replaces one of the same name. */
  async save(name: string, machine: Blob): Promise<void> {
    checkName(name);
    const partial = `${crypto.randomUUID()}${kPartial}`;
    try {
      const handle = await this.folder.getFileHandle(partial, { create: true });
      if (handle.createWritable === undefined || handle.move === undefined) {
        throw new StorageError('This browser cannot write such files from a page. Save the machine to a file instead.');
      }
      const writable = await handle.createWritable();
      await writable.write(machine);
      await writable.close();
      await this.remove(name).catch(() => {});
      await handle.move(fileName(name));
    } catch (error) {
      await this.folder.removeEntry(partial).catch(() => {});
      throw explainStorage(await judgeRoom(error, machine.size));
    }
  }

  /** The file, for Machine.restore or to be exported. */
  async load(name: string): Promise<File> {
    try {
      return await (await this.folder.getFileHandle(fileName(name))).getFile();
    } catch (error) {
      throw new StorageError(`There is no saved machine "${name}" in this browser.`, { cause: error });
    }
  }

  async rename(name: string, to: string): Promise<void> {
    checkName(to);
    if (name === to) return;
    for await (const key of this.folder.keys()) {
      if (key === fileName(to)) throw new StorageError(`There is a saved machine "${to}" already.`);
    }
    const handle = await this.folder.getFileHandle(fileName(name));
    await handle.move?.(fileName(to));
  }

  async remove(name: string): Promise<void> {
    await this.folder.removeEntry(fileName(name));
  }

  /** Away with what an interrupted run left. Not while another tab may be saving: only what is older than a day. */
  async tidy(now = Date.now()): Promise<void> {
    const kDay = 24 * 3600 * 1000;
    const left: string[] = [];
    for await (const key of this.folder.keys()) if (key.endsWith(kPartial)) left.push(key);
    for (const key of left) {
      const file = await (await this.folder.getFileHandle(key)).getFile();
      if (now - file.lastModified > kDay) await this.folder.removeEntry(key).catch(() => {});
    }
  }
}

function checkName(name: string): void {
  if (name.trim() === '' || name.length > kMostNameLength) {
    throw new StorageError(`A name has 1 to ${kMostNameLength} characters.`);
  }
}

function explainStorage(error: unknown): Error {
  if (error instanceof StorageError) return error;
  if (error instanceof DOMException && error.name === 'QuotaExceededError') {
    return new StorageError('The browser has no room for this machine, or the disk is full. Delete saved machines, or save it to a file.', { cause: error });
  }
  return new StorageError(`The machine could not be saved: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

/** What the head of the file says; all else of it is checked when it is restored. */
async function readConfiguration(file: Blob): Promise<{ harts: number | null; memory: number | null }> {
  try {
    const prefix = new DataView(await file.slice(0, kSnapshotPrefixBytes).arrayBuffer());
    const length = prefix.getUint32(kSnapshotConfigBytesAt, true);
    const { harts, memory } = JSON.parse(await file.slice(kSnapshotPrefixBytes, kSnapshotPrefixBytes + length).text()) as Record<string, unknown>;
    return { harts: typeof harts === 'number' ? harts : null, memory: typeof memory === 'number' ? memory : null };
  } catch {
    return { harts: null, memory: null };
  }
}
