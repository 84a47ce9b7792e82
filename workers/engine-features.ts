// SPDX-License-Identifier: Apache-2.0
// What the engine can do that a specification leaves open, found out by trying. Compiler worker only, once, before the core
// translates anything.
//
// A relaxed multiply-add may round once (fused, as the guest's is) or twice, and an engine may decide so in each of its
// tiers. So the probe is a loop inside WebAssembly that runs long enough to be compiled anew by the optimising tier, in
// several calls with time between them for that to happen in the background, and every single result has to be right.

/** hw_note_features' bit: f64x2.relaxed_madd is fused. */
export const kFusedMultiplyAdd = 1 << 0;

/**
 * (func (export "wrong") (param $a f64) (param $b f64) (param $c f64) (param $fused f64) (param $rounds i32) (result i32)
 * how many of `rounds` multiply-adds did not give `fused`.
 */
const kProbe = Uint8Array.from([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
  0x01, 0x0a, 0x01, 0x60, 0x05, 0x7c, 0x7c, 0x7c, 0x7c, 0x7f, 0x01, 0x7f, // types
  0x03, 0x02, 0x01, 0x00, // functions
  0x07, 0x09, 0x01, 0x05, 0x77, 0x72, 0x6f, 0x6e, 0x67, 0x00, 0x00, // exports
  0x0a, 0x2e, 0x01, 0x2c, 0x01, 0x01, 0x7f, // code: one body, one local: $wrong i32
  0x03, 0x40, // loop
  0x20, 0x00, 0xfd, 0x14, // f64x2.splat $a
  0x20, 0x01, 0xfd, 0x14, // f64x2.splat $b
  0x20, 0x02, 0xfd, 0x14, // f64x2.splat $c
  0xfd, 0x87, 0x02, // f64x2.relaxed_madd
  0xfd, 0x21, 0x00, // f64x2.extract_lane 0
  0x20, 0x03, 0x62, // f64.ne $fused
  0x20, 0x05, 0x6a, 0x21, 0x05, // $wrong += it
  0x20, 0x04, 0x41, 0x01, 0x6b, 0x22, 0x04, // $rounds -= 1
  0x0d, 0x00, // br_if loop
  0x0b, // end
  0x20, 0x05, // $wrong
  0x0b,
]);

const kCalls = 32;
const kRounds = 16384; // of a call: together some 20 million bytes of code, which is what V8 waits for

/** The bits for hw_note_features. `turn` lets the event loop turn once. */
export async function engineFeatures(turn: () => Promise<void>, probe: Uint8Array<ArrayBuffer> = kProbe): Promise<number> {
  if (!WebAssembly.validate(probe)) return 0;
  const wrong = new WebAssembly.Instance(new WebAssembly.Module(probe)).exports['wrong'] as (
    a: number, b: number, c: number, fused: number, rounds: number) => number;
  // The product is 1 - 2^-60, which a double cannot hold: rounded before the addition it is 1, and the sum 0.
  const small = 2 ** -30;
  for (let call = 0; call < kCalls; call++) {
    if (wrong(1 + small, 1 - small, -1, -(2 ** -60), kRounds) !== 0) return 0;
    await turn();
  }
  return kFusedMultiplyAdd;
}
