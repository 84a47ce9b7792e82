// SPDX-License-Identifier: Apache-2.0
// What must be installed on the machine. On Debian 12 missing packages are installed with apt; elsewhere the programs
// must be there already, and one message names all that are not.
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { output, toolEnvironment, UserError } from './project.mjs';

/** [Debian package, a program or file that shows its presence on another system (none: not checked there)] */
const forBuilding = [
  ['cmake', 'cmake'],
  ['ninja-build', 'ninja'],
  ['make', 'make'],
  ['gcc', 'gcc'],
  ['g++', 'g++'],
  ['ccache'],
  ['python3', 'python3'],
  ['util-linux', 'flock'],
  ['nlohmann-json3-dev', '/usr/include/nlohmann/json.hpp'],
  ['gcc-riscv64-linux-gnu', 'riscv64-linux-gnu-gcc'],
  ['binutils-riscv64-linux-gnu', 'riscv64-linux-gnu-ld'],
  ['libc6-dev-riscv64-cross'],
  ['linux-source-6.12', '/usr/src/linux-source-6.12.tar.xz'],
  ['flex', 'flex'],
  ['bison', 'bison'],
  ['bc', 'bc'],
  ['libelf-dev'],
  ['cpio', 'cpio'],
  ['rsync', 'rsync'],
  ['xz-utils', 'xz'],
  ['zstd', 'zstd'],
  ['debian-archive-keyring', '/usr/share/keyrings/debian-archive-keyring.gpg'],
];
const forTesting = [
  ['libboost-context-dev', '/usr/include/boost/context/fiber.hpp'],
  ['zlib1g-dev', '/usr/include/zlib.h'],
  ['libgtest-dev', '/usr/include/gtest/gtest.h'],
  ['googletest', '/usr/src/googletest/CMakeLists.txt'],
  ['clang-format', 'clang-format'],
  ['chromium', 'chromium'],
  ['firefox-esr', 'firefox-esr'],
  ['fonts-dejavu-core'],
  ['device-tree-compiler', 'dtc'],
  ['qemu-system-misc', 'qemu-system-riscv64'],
  ['qemu-user-static', 'qemu-riscv64-static'],
  ['spin', 'spin'],
  ['gdb-multiarch', 'gdb-multiarch'],
  ['opensbi', '/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin'],
];

function debianVersion() {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return /^ID=debian$/m.test(text) ? (/^VERSION_ID="?(\d+)/m.exec(text)?.[1] ?? 'testing') : undefined;
  } catch {
    return undefined;
  }
}

/** Debian 12 on amd64 is what the set-up installs packages and a toolchain on by itself. */
export function isSupportedDebian() {
  return process.platform === 'linux' && process.arch === 'x64' && debianVersion() === '12';
}

/** The path of a program on PATH, or undefined. */
export function findProgram(name, path = process.env.PATH) {
  return path.split(delimiter).map((folder) => join(folder, name)).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function missingDebianPackages(names) {
  const status = await output('sh', ['-c', `dpkg-query -W -f='\${db:Status-Status} \${Package}\\n' "$@" 2>/dev/null; true`, 'sh', ...names]);
  const installed = new Set((status ?? '').split('\n').filter((line) => line.startsWith('installed ')).map((line) => line.slice(10)));
  return names.filter((name) => !installed.has(name));
}

async function rootPrefix(missing) {
  if (process.getuid() === 0) return [];
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (!findProgram('sudo')) throw new UserError(`these packages are missing; as root, run: ${command}`);
  if (await output('sudo', ['-n', 'true']) === undefined) {
    throw new UserError(`these packages are missing, and sudo asks for a password; run: sudo ${command}`);
  }
  return ['sudo', '-n'];
}

/** Install what is missing. Returns false if nothing was. `step` is a progress step's context. */
export async function installPackages({ tests, step }) {
  const wanted = tests ? [...forBuilding, ...forTesting] : forBuilding;
  if (!isSupportedDebian()) {
    const missing = wanted.filter(([, witness]) => witness && !(witness.startsWith('/') ? existsSync(witness) : findProgram(witness)));
    if (!findProgram('emcc')) missing.push(['Emscripten (emcc), version 4 or newer']);
    if (missing.length) {
      throw new UserError('only Debian 12 on amd64 is set up automatically. On this system please install, under its names for these Debian packages: '
        + missing.map(([name, witness]) => (witness ? `${name} (${witness})` : name)).join(', '));
    }
    return false;
  }
  const missing = await missingDebianPackages(wanted.map(([name]) => name));
  if (!missing.length) return false;
  const [program, ...prefix] = [...await rootPrefix(missing), 'apt-get'];
  const options = ['-y', '-q', '-o', 'DPkg::Lock::Timeout=900', '-o', 'Acquire::Retries=3', '-o', 'Dpkg::Use-Pty=0'];
  const env = toolEnvironment({ DEBIAN_FRONTEND: 'noninteractive' });
  await step.run(program, [...prefix, 'update', ...options], { env });
  await step.run(program, [...prefix, 'install', ...options, '--no-install-recommends', ...missing], { env });
  const still = await missingDebianPackages(missing);
  if (still.length) throw new UserError(`apt-get did not install: ${still.join(' ')}`, { log: step.log });
  return true;
}

/** Versions of installed Debian packages as one string, for cache keys; elsewhere the compilers' own words. */
export async function versionsOf(names) {
  return await output('dpkg-query', ['-W', '-f', '${Package} ${Version}\n', ...names])
    ?? await output('riscv64-linux-gnu-gcc', ['--version']) ?? 'unknown';
}
