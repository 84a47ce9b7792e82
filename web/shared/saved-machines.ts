// SPDX-License-Identifier: Apache-2.0
// Machines that are kept in the browser's own storage (OPFS): one file for each, named after it. A file is written under
// another name and moved when it is whole, over one of the same name: what is listed is whole, and what is to be replaced
// stays until then. What an interrupted run left is cleared away. Where a browser moves no files they are copied.
import { kSnapshotConfigBytesAt, kSnapshotPrefixBytes } from '../../build/generated/layout.ts';
import { judgeRoom } from './storage-room.ts';

export interface SavedMachine {
  /** What a person calls it; the file's own name where that says nothing. */
  name: string;
  /** Its file in the folder. */
  file: string;
  /** It cannot be restored: its name or its head cannot be read, or the file not at all. */
  damaged: boolean;
  /** Milliseconds since 1970; 0: not known. */
  date: number;
  /** Bytes. */
  size: number;
  /** null: not to be read from the file. */
  harts: number | null;
  /** MiB */
  memory: number | null;
}

export interface WriteOptions {
  /** Bytes that are written. */
  onProgress?: (bytes: number) => void;
  /** What is under way then rejects with the signal's reason and leaves nothing. */
  signal?: AbortSignal;
}

/** Writes `data` to the file `name` of the folder, by other means than a FileHandle has. */
export type Writer = (folder: string, name: string, data: Blob, options: WriteOptions) => Promise<void>;

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
  createWritable?(): Promise<{ write(data: Blob): Promise<void>; close(): Promise<void>; abort(): Promise<void> }>;
  move?(name: string): Promise<void>;
}

export const kFolder = 'hartwood-machines';
const kEnding = '.hws';
const kPartial = '.partial';
/** One that is being replaced, where a browser moves no file over another. */
const kAside = '.old';
const kPiece = 1 << 20; // bytes that are written at a time
export const kMostNameLength = 60;
const kMostFileName = 240; // bytes; file systems take 255

// Names are anything; file names are not.
const fileName = (name: string): string => `${encodeURIComponent(name)}${kEnding}`;

export class SavedMachines {
  private readonly folder: Folder;
  private readonly writer: Writer;

  /** `writer`: for browsers whose file handles cannot write. Throws StorageError where there is no such storage. */
  static async open(writer: Writer): Promise<SavedMachines> {
    try {
      const root = await navigator.storage.getDirectory();
      return new SavedMachines(await root.getDirectoryHandle(kFolder, { create: true }) as unknown as Folder, writer);
    } catch (error) {
      throw new StorageError('This browser, or this mode of it, keeps no files for pages. Save the machine to a file instead.', { cause: error });
    }
  }

  constructor(folder: Folder, writer: Writer) {
    this.folder = folder;
    this.writer = writer;
  }

  /** The newest first. A file that cannot be read is no reason not to show the others. */
  async list(): Promise<SavedMachine[]> {
    const found: SavedMachine[] = [];
    for (const file of await this.keys()) if (file.endsWith(kEnding)) found.push(await this.describe(file));
    return found.sort((a, b) => b.date - a.date);
  }

  async has(name: string): Promise<boolean> {
    return (await this.keys()).includes(fileName(checkName(name)));
  }

  /** Replaces one of the same name, which stays if this fails. Throws StorageError, or the signal's reason. */
  async save(name: string, machine: Blob, options: WriteOptions = {}): Promise<void> {
    const to = fileName(checkName(name));
    const partial = `${crypto.randomUUID()}${kPartial}`;
    try {
      await this.write(partial, machine, options);
      await alone(() => this.moveOver(partial, to));
    } catch (error) {
      await this.folder.removeEntry(partial).catch(() => {});
      if (options.signal?.aborted === true) throw options.signal.reason;
      throw explainStorage(await judgeRoom(error, machine.size));
    }
  }

  /** The file, for Machine.restore or to be exported. Throws StorageError, which names those that there are. */
  async load(name: string): Promise<File> {
    try {
      return await (await this.folder.getFileHandle(fileName(name))).getFile();
    } catch (error) {
      const names = (await this.list()).filter(({ damaged }) => !damaged).map((each) => `“${each.name}”`);
      const others = names.length === 0 ? 'No machine is saved here.' : `There ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}.`;
      throw new StorageError(`There is no saved machine “${name}” in this browser. ${others}`, { cause: error });
    }
  }

  async rename(name: string, to: string): Promise<void> {
    checkName(to);
    if (name === to) return;
    if (await this.has(to)) throw new StorageError(`There is a saved machine “${to}” already.`);
    try {
      await alone(() => this.moveOver(fileName(name), fileName(to)));
    } catch (error) {
      throw explainStorage(error);
    }
  }

  async remove(machine: Pick<SavedMachine, 'file'>): Promise<void> {
    try {
      await this.folder.removeEntry(machine.file);
    } catch (error) {
      throw new StorageError(`It could not be deleted: ${messageOf(error)}`, { cause: error });
    }
  }

  /**
   * Away with what an interrupted run left, and back with what it was about to replace. Another tab may be saving: of files
   * that are being written only those older than a day.
   */
  tidy(now = Date.now()): Promise<void> {
    const kDay = 24 * 3600 * 1000;
    return alone(async () => {
      const keys = await this.keys();
      for (const key of keys.filter((each) => each.endsWith(kPartial))) {
        const date = await this.folder.getFileHandle(key).then(async (handle) => (await handle.getFile()).lastModified, () => now);
        if (now - date > kDay) await this.folder.removeEntry(key).catch(() => {});
      }
      for (const aside of keys.filter((each) => each.endsWith(kAside))) {
        const name = aside.slice(0, -kAside.length);
        if (keys.includes(name)) await this.folder.removeEntry(aside).catch(() => {});
        else await this.move(aside, name).catch(() => {});
      }
    });
  }

  private async keys(): Promise<string[]> {
    const keys: string[] = [];
    for await (const key of this.folder.keys()) keys.push(key);
    return keys;
  }

  private async describe(file: string): Promise<SavedMachine> {
    const name = decodeName(file);
    const nothing = { name: name ?? file, file, damaged: true, date: 0, size: 0, harts: null, memory: null };
    try {
      const content = await (await this.folder.getFileHandle(file)).getFile();
      const known = { ...nothing, date: content.lastModified, size: content.size };
      const configuration = await readConfiguration(content);
      return configuration === null ? known : { ...known, ...configuration, damaged: name === null };
    } catch {
      return nothing;
    }
  }

  private async write(to: string, data: Blob, { onProgress, signal }: WriteOptions): Promise<void> {
    signal?.throwIfAborted();
    const handle = await this.folder.getFileHandle(to, { create: true });
    if (handle.createWritable === undefined) {
      await this.writer(kFolder, to, data, { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) });
      return;
    }
    const writable = await handle.createWritable();
    try {
      for (let at = 0; at < data.size; at += kPiece) {
        await writable.write(data.slice(at, at + kPiece));
        signal?.throwIfAborted();
        onProgress?.(Math.min(at + kPiece, data.size));
      }
    } catch (error) {
      await writable.abort().catch(() => {});
      throw error;
    }
    await writable.close();
  }

  /** `from` becomes `to`. If that fails, a file `to` that there was is as it was. */
  private async moveOver(from: string, to: string): Promise<void> {
    const handle = await this.folder.getFileHandle(from);
    const replaced = (await this.keys()).includes(to);
    if (handle.move === undefined) {
      await this.copyOver(handle, to, replaced);
      await this.folder.removeEntry(from);
      return;
    }
    try {
      await handle.move(to);
      return;
    } catch (error) {
      if (!replaced) throw error;
    }
    // Perhaps this browser moves no file over another.
    const aside = `${to}${kAside}`;
    await this.move(to, aside);
    try {
      await this.move(from, to);
    } catch (error) {
      await this.move(aside, to);
      throw error;
    }
    await this.folder.removeEntry(aside).catch(() => {});
  }

  private async move(from: string, to: string): Promise<void> {
    const handle = await this.folder.getFileHandle(from);
    if (handle.move === undefined) throw new StorageError('This browser moves no files.');
    await handle.move(to);
  }

  private async copyOver(from: FileHandle, to: string, replaced: boolean): Promise<void> {
    const content = await from.getFile();
    // What a writable has takes a file's place when it is closed, and not before; nothing else does that.
    if (replaced && from.createWritable === undefined) {
      throw new StorageError('This browser cannot replace a saved machine safely. Choose another name, or delete the old one first.');
    }
    try {
      await this.write(to, content, {});
    } catch (error) {
      if (!replaced) await this.folder.removeEntry(to).catch(() => {});
      throw error;
    }
  }
}

/** While no other tab moves files of the folder. */
async function alone<T>(action: () => Promise<T>): Promise<T> {
  return typeof navigator === 'undefined' || navigator.locks === undefined ? action() : navigator.locks.request(kFolder, action) as Promise<T>;
}

/** null: that is no name that a machine was saved under. */
function decodeName(file: string): string | null {
  try {
    return decodeURIComponent(file.slice(0, -kEnding.length));
  } catch {
    return null;
  }
}

function checkName(name: string): string {
  if (name.trim() === '' || name.length > kMostNameLength || !name.isWellFormed()) {
    throw new StorageError(`A name has 1 to ${kMostNameLength} characters.`);
  }
  if (fileName(name).length > kMostFileName) throw new StorageError('This name is too long for a file’s name.');
  return name;
}

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error);

function explainStorage(error: unknown): Error {
  if (error instanceof StorageError) return error;
  if (error instanceof Error && error.name === 'QuotaExceededError') {
    return new StorageError('The browser has no room for this machine, or the disk is full. Delete saved machines, or save it to a file.', { cause: error });
  }
  return new StorageError(`The machine could not be saved: ${messageOf(error)}`, { cause: error });
}

/** What the head of the file says, null if it is none; all else of it is checked when it is restored. */
async function readConfiguration(file: Blob): Promise<{ harts: number; memory: number } | null> {
  const prefix = await file.slice(0, kSnapshotPrefixBytes).arrayBuffer();
  if (prefix.byteLength < kSnapshotPrefixBytes) return null;
  const length = new DataView(prefix).getUint32(kSnapshotConfigBytesAt, true);
  try {
    const { harts, memory } = JSON.parse(await file.slice(kSnapshotPrefixBytes, kSnapshotPrefixBytes + length).text()) as Record<string, unknown>;
    return typeof harts === 'number' && typeof memory === 'number' ? { harts, memory } : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
}
