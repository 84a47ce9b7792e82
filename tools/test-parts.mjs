// SPDX-License-Identifier: Apache-2.0
// The parts of `npm test`, in the order in which they run.
//   name       unique; `npm test -- --only NAME`
//   command    run by sh in the project's folder, with Node 24 and the toolchain on PATH
//   needs      set-up targets (tools/lib/targets.mjs) that it uses
//   long       only in `npm run test:long`
//   minutes    the time limit, 10 if absent
const schedulesHours = Number(process.env.SCHEDULES_HOURS || 1);
const tortureSeconds = Number(process.env.TORTURE_SECONDS || 60);
export const parts = [
  { name: 'layers', command: 'node tools/check-layers.mjs', needs: ['packages'] },
  { name: 'format', command: 'bash tools/check-format.sh', needs: ['packages'] },
  { name: 'tools', command: 'node --test tools/test/*.test.mjs tests/bench/*.test.mjs tests/stress/*.test.mjs tests/torture/*.test.mjs', needs: ['packages'] },
  { name: 'types', command: 'for p in web workers .; do node_modules/.bin/tsc -p $p || exit 1; done', needs: ['modules', 'layout'] },
  // The attention protocol, exhaustively, as a model.
  { name: 'model', command: 'node tests/model/run.mjs', needs: ['packages'] },
  { name: 'native', command: 'build/native/hartwood_tests --gtest_brief=1', needs: ['native'], minutes: 15 },
  { name: 'sanitizers', command: 'build/asan/hartwood_tests --gtest_brief=1 && build/asan/hartwood_schedules run --seconds 30', needs: ['asan'], minutes: 20 },
  { name: 'wasm', command: 'node build/wasm/hartwood_tests.cjs --gtest_brief=1', needs: ['wasm'], minutes: 15 },
  // The same tests of a hart, with everything that they execute compiled first: with all passes, and without.
  { name: 'wasm-compiled', command: 'HARTWOOD_ENGINE=compiled node build/wasm/hartwood_tests.cjs --gtest_brief=1', needs: ['wasm'], minutes: 15 },
  { name: 'wasm-plain', command: 'HARTWOOD_ENGINE=compiled-plain node build/wasm/hartwood_tests.cjs --gtest_brief=1', needs: ['wasm'], minutes: 15 },
  { name: 'boot', command: 'node --test tests/boot/native-boot.mjs tests/boot/native-agent.mjs', needs: ['native', 'kernel', 'initramfs', 'debian'], minutes: 10 },
  { name: 'gdb-stub', command: 'node --test tests/debug/gdb-fake.mjs', needs: ['native'] },
  { name: 'gdb', command: 'node --test tests/debug/gdb-machine.mjs', needs: ['native', 'kernel', 'initramfs'] },
  { name: 'front', command: 'node --test web/test/*.test.ts workers/test/*.test.ts', needs: ['modules', 'layout', 'core', 'kernel', 'initramfs', 'snapshot'], minutes: 20 },
  { name: 'native-restore', command: 'node --test tests/boot/native-restore.mjs', needs: ['native', 'kernel', 'initramfs'] },
  { name: 'native-restore-long', command: 'RESTORES=200 node --test tests/boot/native-restore.mjs', needs: ['native', 'kernel', 'initramfs'], minutes: 60, long: true },
  // A machine that goes from Node to the command line and back.
  { name: 'snapshot-across', command: 'node --test tests/boot/snapshot-across.mjs', needs: ['modules', 'layout', 'core', 'native', 'kernel', 'initramfs'] },
  { name: 'e2e', command: 'node --test --test-concurrency=1 e2e/*.test.ts', needs: ['dist', 'programs'], minutes: 20 },
  { name: 'hidden-long', command: 'HIDDEN_SECONDS=60 node --test e2e/hidden.test.ts', needs: ['dist'], minutes: 20, long: true },
  { name: 'firefox', command: 'node --test e2e/firefox.ts', needs: ['dist', 'programs'] },
  { name: 'stress', command: 'node --test e2e/stress.ts', needs: ['dist', 'stress'] },
  { name: 'stress-long', command: 'STRESS_SECONDS=600 node --test e2e/stress.ts', needs: ['dist', 'stress'], minutes: 30, long: true },
  // Stopping, tracing, waking and sharing inside the guest; the same program on the page.
  { name: 'suspend', command: 'node --test tests/suspend/run.mjs', needs: ['native', 'kernel', 'suspend'] },
  { name: 'suspend-page', command: 'node --test e2e/suspend.ts', needs: ['dist', 'suspend'] },
  { name: 'restore', command: 'node --test e2e/restore.ts', needs: ['dist'] },
  { name: 'restore-long', command: 'RESTORE_ROUNDS=200 node --test e2e/restore.ts', needs: ['dist'], minutes: 60, long: true },
  { name: 'pauses-long', command: "PAUSE_ROUNDS=10000 PAUSE_SECONDS=70 node --test --test-name-pattern='pauses? under load' web/test/suspension.test.ts", needs: ['modules', 'layout', 'core', 'kernel', 'initramfs'], minutes: 20, long: true },
  // Each of ten suites for TORTURE_SECONDS, 60 if it is not set.
  { name: 'torture', command: 'node --test e2e/torture.ts', needs: ['dist', 'torture'], minutes: Math.ceil(tortureSeconds / 3) + 20, long: true },
  { name: 'differential', command: 'node tests/differential/run.mjs --programs 10000', needs: ['native', 'references'] },
  { name: 'boot-trace', command: 'node tests/differential/boot-trace.mjs --instructions 1000000', needs: ['native', 'kernel', 'references'] },
  { name: 'jit-random', command: 'node tests/jit/random.mjs --programs 20000', needs: ['native', 'core', 'layout'], minutes: 20 },
  { name: 'jit-cases', command: 'node --test tests/jit/cases.mjs', needs: ['core', 'layout'] },
  { name: 'jit-boot', command: 'node --test tests/jit/boot.mjs', needs: ['core', 'layout', 'kernel', 'initramfs'] },
  { name: 'workloads', command: 'node --test tests/bench/run-workloads.mjs', needs: ['native', 'kernel', 'initramfs', 'workloads'], minutes: 20, long: true },
  { name: 'jit-random-long', command: 'node tests/jit/random.mjs --programs 1000000 --seed 2', needs: ['native', 'core', 'layout'], minutes: 300, long: true },
  { name: 'differential-long', command: 'node tests/differential/run.mjs --programs 1000000 --seed 2', needs: ['native', 'references'], minutes: 60, long: true },
  { name: 'boot-trace-long', command: 'node tests/differential/boot-trace.mjs --instructions 10000000', needs: ['native', 'kernel', 'references'], long: true },
  { name: 'deterministic-boot', command: 'node --test tests/machine/deterministic-boot.mjs', needs: ['native', 'kernel', 'initramfs'] },
  { name: 'sliced', command: 'node --test tests/machine/sliced.mjs', needs: ['native', 'wasm', 'kernel', 'initramfs'] },
  { name: 'schedules', command: 'node tests/schedule/run.mjs --seconds 100', needs: ['native'] },
  // Other seeds, for hours: SCHEDULES_HOURS, 1 if it is not set.
  {
    name: 'schedules-long', command: `node tests/schedule/run.mjs --seconds ${Math.round(3600 * schedulesHours)} --first 1000000000`,
    needs: ['native'], minutes: 60 * schedulesHours + 10, long: true,
  },
  // Symbols, lines and inlined calls against addr2line; frames against readelf. With the kernel if it has been built.
  { name: 'symbols', command: 'node --test tests/debug/symbols.mjs', needs: ['native', 'debug-libc'] },
  { name: 'symbols-kernel', command: 'DEBUG_KERNEL=1 node --test tests/debug/symbols.mjs', needs: ['native', 'debug-libc', 'debug-kernel'], minutes: 20, long: true },
  { name: 'mutations', command: 'node tests/mutations/run.mjs', needs: ['native', 'core', 'layout'] },
  { name: 'points', command: 'node tools/points.mjs', needs: ['packages'] },
];
