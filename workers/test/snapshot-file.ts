// SPDX-License-Identifier: Apache-2.0
// Heads of snapshots by hand, for tests without a machine: docs/snapshot.md, as far as snapshot-head.ts looks.
import { crc32 } from 'node:zlib';

export interface HeadParts {
  version?: number;
  /** What the head says of its own length. */
  length?: number;
  configuration?: string;
  configurationLength?: number;
  diskBytes?: bigint;
  notes?: string;
}

export function makeHead({ version = 1, length, configuration = '{"harts":1,"memory":128}', configurationLength, diskBytes = 0n, notes = '' }: HeadParts): Uint8Array<ArrayBuffer> {
  const text = Buffer.from(configuration);
  const rest = Buffer.from(notes);
  const head = Buffer.alloc(32 + text.length + rest.length);
  head.set([0x93, 0x48, 0x57, 0x53, 0x4e, 0x0d, 0x0a, 0x1a]);
  head.writeUInt32LE(version, 8);
  head.writeUInt32LE(length ?? head.length, 12);
  head.writeUInt32LE(configurationLength ?? text.length, 20);
  head.writeBigUInt64LE(diskBytes, 24);
  head.set(text, 32);
  head.set(rest, 32 + text.length);
  head.writeUInt32LE(crc32(head.subarray(20)), 16);
  return new Uint8Array(head);
}
