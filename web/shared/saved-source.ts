// SPDX-License-Identifier: Apache-2.0
// What ?restore= in an address means: the address of a snapshot, or the name of a machine that is saved in this browser.
import { writeInWorker } from '../api/file-writer.ts';
import type { SnapshotInput } from '../api/index.ts';
import { SavedMachines } from './saved-machines.ts';

export const openSavedMachines = (): Promise<SavedMachines> => SavedMachines.open(writeInWorker);

/** Throws StorageError for a name that there is not. */
export async function savedSource(restore: string): Promise<SnapshotInput> {
  if (/^(https?:|\.{0,2}\/)/.test(restore)) return restore;
  return (await openSavedMachines()).load(restore);
}
