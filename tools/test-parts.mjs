// SPDX-License-Identifier: Apache-2.0
// The parts of `npm test`, in the order in which they run.
//   name       unique; `npm test -- --only NAME`
//   command    run by sh in the project's folder, with Node 24 and the toolchain on PATH
//   needs      set-up targets (tools/lib/targets.mjs) that it uses
//   long       only in `npm run test:long`
//   minutes    the time limit, 10 if absent
export const parts = [
  { name: 'tools', command: 'node --test tools/test/*.test.mjs', needs: ['packages'] },
];
