// SPDX-License-Identifier: Apache-2.0
// What programs/fused.c prints, computed without any floating point but the conversion of an integer: that rounds once, to
// the nearest, as IEEE 754 and ECMAScript want it.
const kRounds = 5000;

const number = new Float64Array(1);
const bits = new BigUint64Array(number.buffer);

function bitsOf(value: number): bigint {
  number[0] = value;
  return bits[0] ?? 0n;
}

/** value = mantissa * 2 ** exponent; for normal numbers and zero. */
function split(value: number): { mantissa: bigint; exponent: number } {
  const image = bitsOf(value);
  const exponent = Number(image >> 52n & 0x7ffn);
  if (exponent === 0) return { mantissa: 0n, exponent: 0 };
  const mantissa = image & (1n << 52n) - 1n | 1n << 52n;
  return { mantissa: value < 0 ? -mantissa : mantissa, exponent: exponent - 1075 };
}

/** a * b + c, rounded once. */
export function multiplyAdd(a: number, b: number, c: number): number {
  const [x, y, z] = [split(a), split(b), split(c)];
  const product = x.exponent + y.exponent;
  const exponent = Math.min(product, z.exponent);
  const sum = (x.mantissa * y.mantissa << BigInt(product - exponent)) + (z.mantissa << BigInt(z.exponent - exponent));
  return Number(sum) * 2 ** exponent;
}

/** One hart's sum, for its first x. */
export function fusedSum(x: number, fma = multiplyAdd): string {
  let s = 0;
  let sum = 0n;
  for (let i = 0; i < kRounds; i++) {
    const t = fma(-x, x, x);
    x = fma(3.9, t, 2 ** -10);
    s = fma(s, 0.75, -x);
    const u = fma(-x, s, -t);
    for (const value of [x, s, u]) sum = BigInt.asUintN(64, sum * 31n + bitsOf(value));
  }
  return sum.toString(16).padStart(16, '0');
}
