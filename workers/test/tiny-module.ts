// SPDX-License-Identifier: Apache-2.0
// Modules of the shape that the compiler makes, small enough to be written by hand:
//
//   (import "env" "memory" (memory 1 65536 shared)) (import "env" "table" (table 0 funcref))
//   (import "core" NAME (func $helper (param i32) (result i32)))
//   (func $region (param i32) (result i32)  the helper's answer, plus `addend`)
//   (elem (i32.const slot) $region ...)  `slots` times

const unsigned = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]);
function signed(value: number): number[] {
  const last = value >= -64 && value < 64;
  return last ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
}
const counted = (bytes: number[]): number[] => [...unsigned(bytes.length), ...bytes];
const named = (text: string): number[] => counted([...new TextEncoder().encode(text)]);
const section = (id: number, bytes: number[]): number[] => [id, ...counted(bytes)];

export function tinyModule({ slot, slots = 1, addend, helper = 'helper' }:
  { slot: number; slots?: number; addend: number; helper?: string }): Uint8Array<ArrayBuffer> {
  const body = [0, 0x20, 0, 0x10, 0, 0x41, ...signed(addend), 0x6a, 0x0b];
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 1, 0x7f, 1, 0x7f]),
    ...section(2, [
      3,
      ...named('env'), ...named('memory'), 2, 3, 1, ...unsigned(65536),
      ...named('env'), ...named('table'), 1, 0x70, 0, 0,
      ...named('core'), ...named(helper), 0, 0,
    ]),
    ...section(3, [1, 0]),
    ...section(9, [1, 0, 0x41, ...signed(slot), 0x0b, ...unsigned(slots), ...Array.from({ length: slots }, () => 1)]),
    ...section(10, [1, ...counted(body)]),
  ]);
}
