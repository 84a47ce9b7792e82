// SPDX-License-Identifier: Apache-2.0
// Reads what kernels.c prints.

/** Map of kernel name to { seconds, result }. */
export function readKernelLines(text) {
  return new Map([...text.matchAll(/^kernel (\w+) (\d+) ([0-9a-f]{16})\r?$/gm)]
    .map(([, name, microseconds, result]) => [name, { seconds: Number(microseconds) / 1e6, result }]));
}
