// SPDX-License-Identifier: Apache-2.0
// What is looked at in a snapshot's head before there is a core: enough to start workers and to make the memory. The core
// checks all of it (host/machine/snapshot_format.cpp) and says the same of what both find.
import {
  kSnapshotChecked, kSnapshotChecksumAt, kSnapshotConfigBytesAt, kSnapshotDiskBytesAt, kSnapshotHeadBytesAt, kSnapshotMagic,
  kSnapshotMaxHeadBytes, kSnapshotPrefixBytes, kSnapshotVersion, kSnapshotVersionAt,
} from '../build/generated/layout.ts';
import { MachineFailure } from './incoming-file.ts';

const refusal = (why: string, options?: ErrorOptions): MachineFailure => new MachineFailure('bad-snapshot', why, options);
export const noSnapshot = (): MachineFailure => refusal('This file is no snapshot of a machine.');
export const damaged = (how: string, options?: ErrorOptions): MachineFailure => refusal(`The snapshot is damaged: ${how}.`, options);
export const cutOff = (): MachineFailure => damaged('it is cut off');

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** How long the head is that begins with these kSnapshotPrefixBytes bytes. Throws MachineFailure 'bad-snapshot'. */
export function headLength(prefix: Uint8Array): number {
  if (kSnapshotMagic.some((byte, at) => prefix[at] !== byte)) throw noSnapshot();
  const view = viewOf(prefix);
  const version = view.getUint32(kSnapshotVersionAt, true);
  if (version > kSnapshotVersion) {
    throw refusal(`The snapshot has format ${version}, and this Hartwood reads up to ${kSnapshotVersion}; use a newer one.`);
  }
  const length = view.getUint32(kSnapshotHeadBytesAt, true);
  if (version === 0 || length < kSnapshotPrefixBytes || length > kSnapshotMaxHeadBytes) throw damaged('its beginning makes no sense');
  return length;
}

/**
 * The configuration in a whole head, and what its disks take together, in bytes: of a head whose checksum is right. Throws
 * MachineFailure 'bad-snapshot'.
 */
export function inspectHead(head: Uint8Array): { configuration: unknown; diskBytes: number } {
  const view = viewOf(head);
  if (view.getUint32(kSnapshotChecksumAt, true) !== crc32(head.subarray(kSnapshotChecked))) {
    throw damaged('the checksum of its head is wrong');
  }
  const length = view.getUint32(kSnapshotConfigBytesAt, true);
  if (length > head.length - kSnapshotPrefixBytes) throw damaged('its head contradicts itself');
  const text = new TextDecoder().decode(head.slice(kSnapshotPrefixBytes, kSnapshotPrefixBytes + length));
  try {
    return { configuration: JSON.parse(text), diskBytes: Number(view.getBigUint64(kSnapshotDiskBytesAt, true)) };
  } catch (error) {
    throw damaged('its configuration cannot be read', { cause: error });
  }
}

/** IEEE 802.3, as host/base/crc32.h. */
export function crc32(bytes: Uint8Array): number {
  let value = 0xffff_ffff;
  for (const byte of bytes) value = (kCrcTable[(value ^ byte) & 0xff] as number) ^ (value >>> 8);
  return (value ^ 0xffff_ffff) >>> 0;
}

const kCrcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) !== 0 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
  return value;
});
