// SPDX-License-Identifier: Apache-2.0
// Everything that set-up can make, in the order in which it is made. `needs` names earlier targets; `action` returns
// false if there was nothing to do. Results that several checkouts can share go to the content cache; build/guest/
// then has links to them:
//   build/guest/kernel/     Image, vmlinux, System.map, kernel.config      build/guest/initramfs/   initramfs.cpio
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compressFolder } from './compress.mjs';
import { cached, contentKey } from './content-cache.mjs';
import { installPackages, versionsOf } from './packages.mjs';
import { buildDir, root, toolEnvironment } from './project.mjs';
import { prepareToolchain } from './toolchain.mjs';

const crossCompiler = ['gcc-12-riscv64-linux-gnu', 'binutils-riscv64-linux-gnu'];

/** Make `link` point to `target`, replacing it at once. */
function relink(target, link) {
  mkdirSync(dirname(link), { recursive: true });
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(link) === target) return;
  symlinkSync(target, `${link}.new`);
  renameSync(`${link}.new`, link);
}

async function guestPart(step, name, script, { paths, values }) {
  const { folder, made } = await cached({
    name, paths, values,
    make: (out) => step.run(script, [out], { cwd: root }),
    onWait: () => step.see('waiting for another run'),
  });
  relink(folder, join(buildDir, 'guest', name));
  return made;
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
    // Compilers and presets are fixed when CMake first runs in a folder; ccache makes a new start cheap.
    rmSync(folder, { recursive: true, force: true });
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
  ], ['kernel', 'initramfs'].map((name) => readlinkSync(join(buildDir, 'guest', name))));
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
        { paths: ['kernel/build-kernel.sh', 'kernel/configs'], values: [await versionsOf(['linux-source-6.12', ...crossCompiler])] }),
    },
    initramfs: {
      title: 'initramfs',
      needs: ['packages'],
      action: async (step) => guestPart(step, 'initramfs', 'kernel/build-initramfs.sh',
        { paths: ['kernel/build-initramfs.sh', 'kernel/lib-debian.sh', 'kernel/initramfs'], values: [await versionsOf(crossCompiler)] }),
    },
    layout: { title: 'shared structures for TypeScript', needs: ['packages'], action: makeSharedLayout },
    native: { title: 'core and tests, native', needs: ['packages'], action: (step) => cmakePreset(step, 'native', env) },
    asan: { title: 'core and tests, native with sanitizers', needs: ['packages'], action: (step) => cmakePreset(step, 'asan', env) },
    core: { title: 'core, WebAssembly', needs: ['emscripten'], action: (step) => cmakePreset(step, 'wasm', env, 'hartwood_core') },
    wasm: { title: 'tests, WebAssembly', needs: ['core'], action: (step) => cmakePreset(step, 'wasm', env) },
    dist: {
      title: 'page (dist/)',
      needs: ['modules', 'kernel', 'initramfs', 'layout', 'core'],
      action: (step) => buildFront(step, env),
    },
  };
  return { targets, env };
}
