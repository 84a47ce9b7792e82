// SPDX-License-Identifier: Apache-2.0
// Which files a machine was booted with, in its snapshots' notes: a machine that goes on from a snapshot may reboot, and then
// needs its kernel again, which the guest does not keep. Addresses are noted; what was given as bytes is in no note.
import type { FileSource, NamedFile } from '../../workers/protocol.ts';
import { MachineError } from './errors.ts';
import type { DefaultFiles } from './options.ts';

const kKinds = ['kernel', 'initrd', 'firmware'] as const;
const kNames = { kernel: 'kernel', initrd: 'initial RAM disk', firmware: 'firmware' } as const;

/** `default`: the one that comes with the page. `bytes`: no address leads to it. */
type Noted = 'default' | 'none' | 'bytes' | { url: string };
export type NotedFiles = Record<(typeof kKinds)[number], Noted>;

export function noteFiles(files: readonly NamedFile[], defaults: DefaultFiles): NotedFiles {
  const noted = (kind: (typeof kKinds)[number]): Noted => {
    const source = files.find((file) => file.kind === kind)?.source;
    if (source === undefined) return 'none';
    if (source === defaultOf(kind, defaults)) return 'default';
    return 'url' in source ? { url: source.url } : 'bytes';
  };
  return { kernel: noted('kernel'), initrd: noted('initrd'), firmware: noted('firmware') };
}

/** `notes`: a snapshot's. */
export function addNotedFiles(notes: string, files: NotedFiles | null): string {
  return files === null ? notes : JSON.stringify({ ...JSON.parse(notes) as object, files });
}

/** null: these notes have none, as those of the command line. */
export function readNotedFiles(notes: string): NotedFiles | null {
  try {
    const { files } = JSON.parse(notes) as { files?: Record<string, unknown> };
    if (typeof files !== 'object' || files === null || !kKinds.every((kind) => isNoted(files[kind]))) return null;
    return files as NotedFiles;
  } catch {
    return null;
  }
}

function isNoted(value: unknown): value is Noted {
  if (value === 'default' || value === 'none' || value === 'bytes') return true;
  return typeof value === 'object' && value !== null && 'url' in value && typeof value.url === 'string';
}

/** Throws MachineError 'cannot-reboot'. */
export function findNotedFiles(noted: NotedFiles | null, defaults: DefaultFiles): NamedFile[] {
  if (noted === null) throw cannotReboot('it was saved without a note of its kernel');
  const files: NamedFile[] = [];
  for (const kind of kKinds) {
    const file = noted[kind];
    if (file === 'none') continue;
    if (file === 'bytes') throw cannotReboot(`its ${kNames[kind]} was given to it as bytes and is not in the saved machine`);
    const source: FileSource | null = file === 'default' ? defaultOf(kind, defaults) : { url: file.url };
    if (source === null) throw cannotReboot(`its ${kNames[kind]} came with the page that saved it, and none comes with this one`);
    files.push({ kind, source });
  }
  return files;
}

export const cannotReboot = (why: string): MachineError =>
  new MachineError('cannot-reboot', `This machine cannot start again: ${why}.`);

const defaultOf = (kind: (typeof kKinds)[number], defaults: DefaultFiles): FileSource | null =>
  kind === 'firmware' ? null : defaults[kind];
