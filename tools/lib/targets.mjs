// SPDX-License-Identifier: Apache-2.0
// Everything that set-up can make, in the order in which it is made. `needs` names earlier targets; `action` returns
// false if there was nothing to do. Results that several checkouts can share go to the content cache; build/guest/
// then has links to them:
//   kernel/         Image, vmlinux, System.map, kernel.config           initramfs/   initramfs.cpio, busybox.version
//   licences/       licences.json and texts of the two                  debian/      Debian's stock Image
//   snapshot/       prompt.hws: the default machine at its prompt
//   stress/         initramfs.cpio with the stress program of tests/stress
//   suspend/        initramfs.cpio with the program of tests/suspend
//   workloads/      workloads.cpio: Debian's userland for the benchmark
//   torture/        Image and initramfs.cpio with the kernel's torture modules and stress-ng; torture-kernel/ its kernel
//   references/     newer QEMU and OpenSBI that tests compare with
//   debug-libc/     Debian's libc.so.6 and its split debug file; debug-kernel/ our kernel with debug information
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compressFolder } from './compress.mjs';
import { cached, contentKey } from './content-cache.mjs';
import { installPackages, versionsOf } from './packages.mjs';
import { buildDir, root, toolEnvironment } from './project.mjs';
import { prepareToolchain } from './toolchain.mjs';

const crossCompiler = ['gcc-12-riscv64-linux-gnu', 'binutils-riscv64-linux-gnu'];
const kernelPackages = ['linux-source-6.12', ...crossCompiler];

/** Make `link` point to `target`, replacing it at once. */
function relink(target, link) {
  mkdirSync(dirname(link), { recursive: true });
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(link) === target) return;
  symlinkSync(target, `${link}.new`);
  renameSync(`${link}.new`, link);
}

const guestLink = (name) => join(buildDir, 'guest', name);

/** The folder that `script` makes, from the cache or anew, as build/guest/NAME. */
async function guestPart(step, name, script, { paths = [], values = [], args = () => [] } = {}) {
  const { folder, made } = await cached({
    name, values,
    paths: [script, ...paths],
    make: (out) => step.run(script, [out, ...args()]),
    onWait: () => step.see('waiting for another run'),
  });
  relink(folder, guestLink(name));
  return made;
}

/** The C program of tests/NAME in an initramfs of its own, by tools/NAME/guest-archive.mjs. */
async function guestProgram(step, name) {
  const compiler = process.env.HARTWOOD_GUEST_CC ?? await versionsOf(['libc6-dev-riscv64-cross', 'libc6-riscv64-cross', ...crossCompiler]);
  const initramfs = readlinkSync(guestLink('initramfs'));
  return guestPart(step, name, `tools/${name}/guest-archive.mjs`,
    { paths: [`tests/${name}`, 'tools/bench/guest-archive.mjs'], values: [compiler, initramfs], args: () => [join(initramfs, 'initramfs.cpio')] });
}

/** kernel/licences.sh looks at kernel and initramfs in one folder. */
function gatherGuest() {
  const together = guestLink('together');
  for (const [part, files] of [['kernel', ['Image', 'kernel.config']], ['initramfs', ['initramfs.cpio', 'busybox.version']]]) {
    for (const file of files) relink(join(guestLink(part), file), join(together, file));
  }
  return together;
}

/** Configure one CMake preset if needed, and build it or one of its targets; ninja knows what is up to date. */
async function cmakePreset(step, preset, env, target = 'all') {
  const folder = join(buildDir, preset);
  const toolchain = preset === 'wasm' ? env.EMSCRIPTEN_TOOLCHAIN : '';
  const stamp = join(folder, 'presets.key');
  // Without GoogleTest, CMake leaves the tests out: `npm test` installs it after `npm start` has built without.
  const key = contentKey(['CMakePresets.json'], [toolchain, String(existsSync('/usr/src/googletest/CMakeLists.txt'))]);
  const configured = existsSync(join(folder, 'build.ninja')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === key;
  if (!configured) {
    // CMake keeps the compiler that it first saw in a folder.
    const cache = join(folder, 'CMakeCache.txt');
    if (toolchain && existsSync(cache) && !readFileSync(cache, 'utf8').includes(toolchain)) rmSync(folder, { recursive: true });
    await step.run('cmake', ['--preset', preset], { env });
    writeFileSync(stamp, key);
  }
  const { lines } = await step.run('cmake', ['--build', '--preset', preset, '--target', target], { env });
  return !lines.some((line) => line.includes('no work to do'));
}

/** Install the JavaScript dependencies exactly as locked. */
async function installModules(step) {
  const stamp = join(root, 'node_modules', '.hartwood-key');
  const key = contentKey(['package.json', 'package-lock.json', '.npmrc'], [process.version]);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return false;
  await step.run('npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(stamp, key);
  return true;
}

/** build/generated/layout.ts; the script leaves the file alone if nothing has changed. */
async function makeSharedLayout(step) {
  const file = join(buildDir, 'generated', 'layout.ts');
  const before = existsSync(file) && readFileSync(file, 'utf8');
  await step.run('node', ['tools/layout/make-layout.mjs']);
  return readFileSync(file, 'utf8') !== before;
}

/** What the front is made of; if none of it has changed, dist/ stands. */
function frontKey() {
  return contentKey([
    'web', 'workers', 'tools/build-web.mjs', 'tools/layout', 'tools/lib', 'tools/licences',
    'package.json', 'package-lock.json', 'LICENSE', 'build/generated/layout.ts', 'build/wasm/hartwood_core.wasm',
  ], ['kernel', 'initramfs', 'licences', 'snapshot'].map((name) => readlinkSync(guestLink(name))));
}

async function buildFront(step, env) {
  const dist = join(root, 'dist');
  const stamp = join(buildDir, 'dist.key');
  const key = frontKey();
  if (existsSync(join(dist, 'index.html')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return false;
  const partial = join(buildDir, 'dist.partial');
  rmSync(partial, { recursive: true, force: true });
  rmSync(stamp, { force: true });
  await step.run('node', ['tools/build-web.mjs', partial], { env });
  step.see('compressing');
  await compressFolder(partial);
  rmSync(dist, { recursive: true, force: true });
  renameSync(partial, dist);
  writeFileSync(stamp, key);
  return true;
}

/**
 * The targets for one run. `tests` selects the test packages too. `env` collects what a step adds to the environment
 * of all later ones (the toolchain).
 */
export function makeTargets({ tests }) {
  const env = toolEnvironment();
  const targets = {
    packages: { title: 'system packages', needs: [], action: (step) => installPackages({ tests, step }) },
    modules: { title: 'JavaScript packages', needs: ['packages'], action: installModules },
    emscripten: {
      title: 'Emscripten',
      needs: ['packages'],
      action: async (step) => {
        const toolchain = await prepareToolchain(step);
        Object.assign(env, toolchain.env);
        return toolchain.worked;
      },
    },
    kernel: {
      title: 'Linux kernel (minutes, once)',
      needs: ['packages'],
      action: async (step) => guestPart(step, 'kernel', 'kernel/build-kernel.sh',
        { paths: ['kernel/configs/small.config'], values: [await versionsOf(kernelPackages)] }),
    },
    initramfs: {
      title: 'initramfs',
      needs: ['packages'],
      action: async (step) => guestPart(step, 'initramfs', 'kernel/build-initramfs.sh',
        { paths: ['kernel/lib-debian.sh', 'kernel/initramfs'], values: [await versionsOf(crossCompiler)] }),
    },
    licences: {
      title: 'licences of the guest',
      needs: ['kernel', 'initramfs'],
      action: (step) => guestPart(step, 'licences', 'kernel/licences.sh',
        { paths: ['kernel/lib-debian.sh'], values: ['kernel', 'initramfs'].map((name) => readlinkSync(guestLink(name))), args: () => [gatherGuest()] }),
    },
    workloads: {
      title: "Debian's userland for the benchmark",
      needs: ['packages'],
      action: (step) => guestPart(step, 'workloads', 'kernel/build-workloads.sh',
        { paths: ['kernel/lib-debian.sh', 'kernel/lib-pinned.sh', 'kernel/workloads.sha256', 'kernel/initramfs/make_cpio.py'] }),
    },
    debian: {
      title: "Debian's stock riscv64 kernel",
      needs: ['packages'],
      action: (step) => guestPart(step, 'debian', 'kernel/fetch-debian-kernel.sh', { paths: ['kernel/lib-debian.sh'] }),
    },
    references: {
      title: 'QEMU and OpenSBI to compare with',
      needs: ['packages'],
      action: (step) => guestPart(step, 'references', 'kernel/fetch-references.sh', { paths: ['kernel/lib-debian.sh'] }),
    },
    stress: {
      title: "the guest's stress program",
      needs: ['initramfs'],
      action: (step) => guestProgram(step, 'stress'),
    },
    suspend: {
      title: "the guest's suspend program",
      needs: ['initramfs'],
      action: (step) => guestProgram(step, 'suspend'),
    },
    'torture-kernel': {
      title: 'Linux kernel to be tortured (minutes, once)',
      needs: ['packages'],
      action: async (step) => guestPart(step, 'torture-kernel', 'kernel/build-kernel.sh',
        { paths: ['kernel/configs'], values: [await versionsOf(kernelPackages)], args: () => ['torture'] }),
    },
    torture: {
      title: 'torture modules and stress-ng',
      needs: ['initramfs', 'torture-kernel'],
      action: (step) => {
        const [initramfs, kernel] = ['initramfs', 'torture-kernel'].map((name) => readlinkSync(guestLink(name)));
        return guestPart(step, 'torture', 'kernel/build-torture.sh', {
          paths: ['kernel/lib-debian.sh', 'kernel/lib-pinned.sh', 'kernel/torture.sha256', 'kernel/initramfs/make_cpio.py', 'tests/torture/torture.sh'],
          values: [initramfs, kernel], args: () => [join(initramfs, 'initramfs.cpio'), kernel],
        });
      },
    },
    'debug-libc': {
      title: "Debian's C library with debug information",
      needs: ['packages'],
      action: (step) => guestPart(step, 'debug-libc', 'kernel/fetch-debug-libc.sh', { paths: ['kernel/lib-debian.sh', 'kernel/lib-pinned.sh', 'kernel/debug-libc.sha256'] }),
    },
    'debug-kernel': {
      title: 'Linux kernel with debug information (minutes, once)',
      needs: ['packages'],
      action: async (step) => guestPart(step, 'debug-kernel', 'kernel/build-kernel.sh', {
        paths: ['kernel/configs/small.config', 'kernel/configs/debug.config'], values: [await versionsOf(kernelPackages)], args: () => ['debug'],
      }),
    },
    layout: { title: 'shared structures for TypeScript', needs: ['packages'], action: makeSharedLayout },
    native: { title: 'core and tests, native', needs: ['packages'], action: (step) => cmakePreset(step, 'native', env) },
    asan: { title: 'core and tests, native with sanitizers', needs: ['packages'], action: (step) => cmakePreset(step, 'asan', env) },
    programs: {
      title: 'multi-hart programs for the browser',
      needs: ['packages'],
      action: (step) => cmakePreset(step, 'native', env, 'hartwood_guest_programs'),
    },
    core: { title: 'core, WebAssembly', needs: ['emscripten'], action: (step) => cmakePreset(step, 'wasm', env, 'hartwood_core') },
    wasm: { title: 'tests, WebAssembly', needs: ['core'], action: (step) => cmakePreset(step, 'wasm', env) },
    snapshot: {
      title: 'machine at its prompt',
      needs: ['modules', 'kernel', 'initramfs', 'layout', 'core'],
      action: (step) => guestPart(step, 'snapshot', 'tools/make-snapshot.mjs', {
        paths: ['web/api', 'web/test/node-host.ts', 'workers', 'build/generated/layout.ts', 'build/wasm/hartwood_core.wasm'],
        values: ['kernel', 'initramfs'].map((name) => readlinkSync(guestLink(name))),
      }),
    },
    dist: {
      title: 'page (dist/)',
      needs: ['modules', 'kernel', 'initramfs', 'licences', 'layout', 'core', 'snapshot'],
      action: (step) => buildFront(step, env),
    },
  };
  return { targets, env };
}
