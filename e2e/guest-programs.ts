// SPDX-License-Identifier: Apache-2.0
// Guest programs without Linux, and how a page boots one: our bare-metal C files, and the multi-hart programs of
// tests/programs/, which build/native/hartwood_guest_programs writes as files that boot and whose memory it judges afterwards.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BootOptions, MachineExit, Statistics } from '../web/api/index.ts';

const kSources = fileURLToPath(new URL('programs', import.meta.url));
const kTool = fileURLToPath(new URL('../build/native/hartwood_guest_programs', import.meta.url));

/** The ELF file of programs/NAME.c. */
export function compileBare(name: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'hartwood-'));
  try {
    const elf = join(folder, name);
    execFileSync('riscv64-linux-gnu-gcc', [
      '-O2', '-march=rv64gc_zihintpause', '-mabi=lp64d', '-mcmodel=medany', '-ffreestanding', '-fno-pic', '-nostdlib', '-static',
      '-Wl,--build-id=none,--no-warn-rwx-segments', '-T', join(kSources, 'link.ld'), join(kSources, `${name}.c`), '-o', elf,
    ], { stdio: ['ignore', 'inherit', 'inherit'] });
    return readFileSync(elf);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface Program {
  name: string;
  harts: number;
  /** Its data: what the check wants to see. */
  address: number;
  length: number;
}

/** The programs of tests/programs/ as files in a temporary folder. */
export class GuestPrograms {
  readonly all: Program[];
  private readonly folder = mkdtempSync(join(tmpdir(), 'hartwood-programs-'));

  constructor() {
    assert.ok(existsSync(kTool), `${kTool} is missing; "npm test -- --only e2e" builds it`);
    execFileSync(kTool, ['export', this.folder], { stdio: ['ignore', 'inherit', 'inherit'] });
    this.all = JSON.parse(readFileSync(join(this.folder, 'programs.json'), 'utf8')) as Program[];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  named(name: string): Program {
    const program = this.all.find((each) => each.name === name);
    assert.ok(program !== undefined, `there is no ${name}`);
    return program;
  }

  /** What runInPage takes. */
  order({ name, harts, address, length }: Program, base: string, timeout: number): Order {
    return {
      base, timeout, kernel: readFileSync(join(this.folder, `${name}.elf`)).toString('base64'), data: { address, length },
      options: { harts, memory: 64, initrd: null, console: 'sbi', compiler: 'early', keepMemory: true },
    };
  }

  /** What the program's own check says of its data. */
  look({ name, length }: Program, data: Buffer): { fine: boolean; text: string } {
    assert.equal(data.length, length);
    const dump = join(this.folder, 'dump');
    writeFileSync(dump, data);
    const { status, stdout, stderr, error } = spawnSync(kTool, ['check', name, dump], { encoding: 'utf8' });
    assert.ok(status === 0 || status === 1, `the check failed: ${error?.message ?? stderr}`);
    return { fine: status === 0, text: stdout.trim() };
  }
}

export interface Order {
  /** The address of dist/. */
  base: string;
  options: Pick<BootOptions, 'harts' | 'memory' | 'console' | 'compiler' | 'keepMemory'> & { initrd?: null; firmware?: 'none' };
  /** The kernel's bytes in base64, as the answer's data are. */
  kernel: string;
  /** RAM to be read when the machine has ended, with the option keepMemory. */
  data: { address: number; length: number } | null;
  timeout: number;
}

export interface Outcome {
  exit: MachineExit;
  data: string;
  console: string;
  statistics: Statistics;
}

/** Boots the kernel and waits for the machine's end. Evaluated in a page of the site, so it must stand on its own. */
export async function runInPage({ base, options, kernel, data, timeout }: Order): Promise<Outcome> {
  const { Machine } = await import(`${base}hartwood.js`) as typeof import('../web/api/index.ts');
  const bytes = Uint8Array.from(atob(kernel), (letter) => letter.charCodeAt(0));
  const machine = await Machine.boot({ ...options, kernel: bytes.buffer });
  try {
    let printed = '';
    void (async () => {
      const decoder = new TextDecoder();
      for await (const output of machine.console) printed += decoder.decode(output, { stream: true });
    })();
    const exit = await Promise.race([machine.exited, new Promise<null>((resolve) => setTimeout(resolve, timeout, null))]);
    if (exit === null) throw new Error(`no end after ${timeout} ms: ${JSON.stringify(machine.stat())}`);
    // Said here: an error loses its text on the way out of a page.
    if (exit.error !== undefined) throw new Error(`${exit.error.code}: ${exit.error.message}`);
    let text = '';
    if (data !== null) {
      const blob = new Blob([machine.readMemory(data.address, data.length)]);
      text = await new Promise<string>((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(String(reader.result));
        reader.onerror = () => reject(reader.error);
        reader.readAsDataURL(blob);
      });
    }
    return { exit, data: text.slice(text.indexOf(',') + 1), console: printed, statistics: machine.stat() };
  } finally {
    machine.terminate();
  }
}
