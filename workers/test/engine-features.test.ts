// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { engineFeatures, kFusedMultiplyAdd } from '../engine-features.ts';
import { makeTurn } from '../platform.ts';

const turn = makeTurn();

test('a processor with fused multiply-add has it in WebAssembly', async () => {
  const flags = readFileSync('/proc/cpuinfo', 'utf8');
  const has = / fma /.test(flags) || process.arch === 'arm64';
  assert.equal(await engineFeatures(turn), has ? kFusedMultiplyAdd : 0);
});

test('an engine that does not know relaxed SIMD has none', async () => {
  assert.equal(await engineFeatures(turn, Uint8Array.of(0, 0x61, 0x73, 0x6d, 9, 9, 9, 9)), 0);
});

/** (func (export "wrong") (param f64 f64 f64 f64 i32) (result i32) i32.const 1) */
const kWrong = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0x01, 0x0a, 0x01, 0x60, 0x05, 0x7c, 0x7c, 0x7c, 0x7c, 0x7f, 0x01, 0x7f, 0x03, 0x02, 0x01,
  0x00, 0x07, 0x09, 0x01, 0x05, 0x77, 0x72, 0x6f, 0x6e, 0x67, 0x00, 0x00, 0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 0x01, 0x0b);

test('one wrong answer is enough', async () => {
  assert.equal(await engineFeatures(turn, kWrong), 0);
});
