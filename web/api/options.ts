// SPDX-License-Identifier: Apache-2.0
// What Machine.boot takes, and the check of it. Everything that can be wrong is said at once, before a worker starts, in
// words that name the option, what it has and what it accepts.
import { kMaxHarts, kRamBase } from '../../build/generated/layout.ts';
import type { FileSource, MachineConfiguration, NamedFile, ProgressKind } from '../../workers/protocol.ts';
import { MachineError } from './errors.ts';

/** A file: where to load it from, or its content. */
export type FileInput = string | URL | Blob | ArrayBuffer | Uint8Array;

export interface BootProgress {
  kind: ProgressKind;
  /** Bytes, after HTTP's decoding; of a snapshot the packed ones. */
  loaded: number;
  /** null: not known yet. */
  total: number | null;
}

/** What is the same for a machine that is booted and one that is restored. */
export interface CommonOptions {
  /**
   * Whether hot code of the guest is translated to WebAssembly, by a worker of its own. Default true. Without it everything
   * is interpreted, which is slower and otherwise the same. What runs before the first prompt of a Linux is as a rule not
   * worth it, so translating begins behind that many instructions; 'early': with the first ones, for programs that are
   * shorter than a boot.
   */
  compiler?: boolean | 'early';
  /**
   * What the guest's wall clock (its RTC) does in a pause, and between a snapshot and its restore. 'follow' (default): it
   * shows the host's time afterwards, as a computer's does that was suspended. 'stop': it goes on where it stood. All other
   * clocks of the guest stand still meanwhile.
   */
  clock?: 'follow' | 'stop';
  /** The console's size in characters; change it with machine.resize. */
  size?: { columns: number; rows: number };
  /**
   * Keeps guest RAM readable by machine.readMemory after the machine's end, until machine.terminate(). Default false: it is
   * given back at the end.
   */
  keepMemory?: boolean;
  /** Aborting it ends a start that is under way, which then rejects with 'ended'. A machine that runs does not mind. */
  signal?: AbortSignal;
  onProgress?: (progress: BootProgress) => void;
  /** Messages of the core about itself; level 0 is an error, 3 chatter. */
  onLog?: (level: number, text: string) => void;
  /** Becomes machine.onerror, and is called for a failed boot as well. */
  onError?: (error: MachineError) => void;
}

export interface RestoreOptions extends CommonOptions {
  /**
   * Whether the machine runs before all of its memory is here, and waits for what it touches. Default true for a single
   * snapshot without disks; others are loaded first.
   */
  lazy?: boolean;
}

/** A snapshot: where to load it from, or its content. */
export type SnapshotInput = FileInput;

export interface SnapshotOptions {
  /** Only what was written since the machine was last saved or restored. Default false. */
  increment?: boolean;
  /** Pages of RAM, by number from its beginning, that come first in the file and so arrive first. */
  order?: number[];
  /** Pages that are packed together, 1 to 256. Default 64. */
  chunkPages?: number;
}

export interface BootOptions extends CommonOptions {
  /** Processors of the machine, 1 to 8. Default 2. */
  harts?: number;
  /** MiB of RAM: 64, 128, 256, 512, 1024 or 2048. Default 512. */
  memory?: number;
  /**
   * The kernel's command line, at most 1023 bytes. Where it names no `console=`, the one that belongs to `console` is put
   * in front of it.
   */
  append?: string;
  /** A Linux Image, a vmlinux or another ELF file. Default: the kernel that comes with the page. */
  kernel?: FileInput;
  /** null: none. Default: the initramfs that comes with the page, except with `firmware: 'none'`. */
  initrd?: FileInput | null;
  /** 'built-in' (default): the core answers SBI calls. 'none': the kernel file starts in M-mode. Else an fw_dynamic file. */
  firmware?: FileInput | 'built-in' | 'none';
  /** A disk image: the first virtio block device, kept in memory. */
  disk?: FileInput;
  /** The device that the console is on. Default 'virtio'. */
  console?: 'virtio' | 'uart' | 'sbi';
  /** The largest satp mode. Default: the core's. */
  paging?: 'sv39' | 'sv48' | 'sv57';
}

export const kMemorySizes: readonly number[] = [64, 128, 256, 512, 1024, 2048];
export const kConsoles = ['virtio', 'uart', 'sbi'] as const;
export const kPagings = ['sv39', 'sv48', 'sv57'] as const;

/** What 'early' is: no instructions to wait for, and 20 times 64 jumps to a place until it is compiled. */
const kEarly = { compiler_after: 0, compiler_visits: 20 } as const;

export const kDefaults = { harts: 2, memory: 512, console: 'virtio', compiler: true } as const;
const kMaxAppendBytes = 1023; // what the kernel keeps on RISC-V, less its terminating zero
export const kMaxConsoleSize = 4096;

/** `console=` for each console device. */
const kConsoleArguments = { virtio: 'earlycon=sbi console=hvc0', uart: 'console=ttyS0', sbi: 'console=hvc0' } as const;

/** The files that come with the page. */
export interface DefaultFiles {
  kernel: FileSource | null;
  initrd: FileSource | null;
  /** The default machine at its prompt. */
  snapshot: FileSource | null;
}

export interface BootPlan {
  configuration: MachineConfiguration;
  files: NamedFile[];
  /** Of a restored machine, which has no files. */
  restore?: { heads: Uint8Array[]; diskBytes: number; lazy: boolean };
}

function wrong(option: string, value: unknown, accepted: string): MachineError {
  const shown = typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : describe(value);
  return new MachineError('bad-option', `${option} is ${shown}; it must be ${accepted}.`);
}

function describe(value: unknown): string {
  if (value === null || typeof value === 'number' || typeof value === 'boolean' || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return `a ${value.constructor?.name ?? 'value'}`;
  return `a ${typeof value}`;
}

function integer(option: string, value: unknown, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw wrong(option, value, `a whole number from ${least} to ${most}`);
  }
  return value;
}

function choice<T extends string>(option: string, value: unknown, accepted: readonly T[]): T {
  const found = accepted.find((each) => each === value);
  if (found === undefined) throw wrong(option, value, `one of ${accepted.map((each) => `"${each}"`).join(', ')}`);
  return found;
}

function memory(value: unknown): number {
  if (typeof value !== 'number' || !kMemorySizes.includes(value)) {
    throw wrong('memory', value, `a number of MiB out of ${kMemorySizes.join(', ')}`);
  }
  return value;
}

export function fileSource(option: string, value: unknown, base: string | undefined): FileSource {
  if (value instanceof Blob) return { blob: value };
  if (value instanceof ArrayBuffer) return { bytes: new Uint8Array(value) };
  if (value instanceof Uint8Array) return { bytes: value };
  if (value instanceof URL) return { url: value.href };
  if (typeof value === 'string' && value !== '') {
    try {
      return { url: new URL(value, base).href };
    } catch {
      throw wrong(option, value, 'an address that can be loaded');
    }
  }
  throw wrong(option, value, 'an address (text or URL), a Blob, an ArrayBuffer or a Uint8Array');
}

function commandLine(value: unknown, device: MachineConfiguration['console']): string {
  if (value !== undefined && typeof value !== 'string') throw wrong('append', value, 'a text');
  const given = (value ?? '').trim();
  const line = /(^|\s)console=/.test(given) ? given : `${kConsoleArguments[device]} ${given}`.trim();
  const size = new TextEncoder().encode(line).length;
  if (size > kMaxAppendBytes) {
    throw new MachineError('bad-option', `append has ${size} bytes; a kernel keeps at most ${kMaxAppendBytes}.`);
  }
  if (line.includes('\0')) throw new MachineError('bad-option', 'append must not contain a zero character.');
  return line;
}

function callback(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw wrong(option, value, 'a function');
}

const kCommon = ['compiler', 'clock', 'size', 'keepMemory', 'signal', 'onProgress', 'onLog', 'onError'] as const satisfies (keyof CommonOptions)[];
const kKnown: ReadonlySet<string> = new Set<keyof BootOptions>([
  'harts', 'memory', 'append', 'kernel', 'initrd', 'firmware', 'disk', 'console', 'paging', ...kCommon,
]);
const kKnownForReboot: ReadonlySet<string> = new Set<keyof CommonOptions>(kCommon);
const kKnownForRestore: ReadonlySet<string> = new Set<keyof RestoreOptions>(['lazy', ...kCommon]);

export function checkHart(hart: unknown, harts: number): void {
  integer('hart', hart, 0, harts - 1);
}

export function checkSteps(count: unknown): void {
  integer('count', count, 1, Number.MAX_SAFE_INTEGER);
}

function checkCommon(of: string, options: CommonOptions, known: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) throw wrong(of, options, 'an object');
  for (const key of Object.keys(options)) {
    if (!known.has(key)) {
      throw new MachineError('bad-option', `There is no option "${key}"; the options are ${[...known].join(', ')}.`);
    }
  }
  callback('onProgress', options.onProgress);
  callback('onLog', options.onLog);
  callback('onError', options.onError);
  const { keepMemory, compiler = kDefaults.compiler }: { keepMemory?: unknown; compiler?: unknown } = options;
  if (keepMemory !== undefined && typeof keepMemory !== 'boolean') throw wrong('keepMemory', keepMemory, 'true or false');
  if (typeof compiler !== 'boolean' && compiler !== 'early') throw wrong('compiler', compiler, "true, false or 'early'");
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) throw wrong('signal', options.signal, 'an AbortSignal');
  if (options.clock !== undefined) choice('clock', options.clock, ['follow', 'stop']);
  if (options.size !== undefined) checkConsoleSize(options.size?.columns, options.size?.rows);
}

/** Throws MachineError 'bad-option'. */
export function checkRebootOptions(options: CommonOptions): void {
  checkCommon('The argument of machine.reboot', options, kKnownForReboot);
}

/** Throws MachineError 'bad-option'. */
export function checkRestoreOptions(options: RestoreOptions): void {
  checkCommon('The second argument of Machine.restore', options, kKnownForRestore);
  const { lazy }: { lazy?: unknown } = options;
  if (lazy !== undefined && typeof lazy !== 'boolean') throw wrong('lazy', lazy, 'true or false');
}

/** What the option `compiler` is in a machine's configuration. */
export function compilerConfiguration(compiler: CommonOptions['compiler'] = kDefaults.compiler): Partial<MachineConfiguration> & { compiler: boolean } {
  return { compiler: compiler !== false, ...(compiler === 'early' ? kEarly : {}) };
}

export function checkConsoleSize(columns: unknown, rows: unknown): { columns: number; rows: number } {
  return { columns: integer('columns', columns, 1, kMaxConsoleSize), rows: integer('rows', rows, 1, kMaxConsoleSize) };
}

/** Checks that [address, address + length) is all guest RAM; returns where in it that begins. */
export function checkRamRange(address: unknown, length: unknown, ramBytes: number): number {
  const whole = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  const hex = (value: number): string => `0x${value.toString(16)}`;
  const ram = `guest RAM, which is ${hex(kRamBase)} to ${hex(kRamBase + ramBytes - 1)}`;
  if (!whole(address)) throw wrong('address', address, `a whole number, in ${ram}`);
  if (!whole(length)) throw wrong('length', length, 'a whole number of bytes');
  const offset = address - kRamBase;
  if (offset < 0 || offset > ramBytes || length > ramBytes - offset) {
    throw new MachineError('bad-option', `${length} bytes from ${hex(address)} on are not all in ${ram}.`);
  }
  return offset;
}

/**
 * Checks `options` and says what to build. `base`: what relative addresses are relative to. Throws MachineError
 * 'bad-option'.
 */
export function planBoot(options: BootOptions, defaults: DefaultFiles, base: string | undefined): BootPlan {
  checkCommon('The argument of Machine.boot', options, kKnown);
  const device = choice('console', options.console ?? kDefaults.console, kConsoles);
  const firmware = options.firmware ?? 'built-in';
  const firmwareKind = firmware === 'built-in' || firmware === 'none' ? firmware : 'file';
  const configuration: MachineConfiguration = {
    harts: integer('harts', options.harts ?? kDefaults.harts, 1, kMaxHarts),
    memory: memory(options.memory ?? kDefaults.memory),
    append: firmwareKind === 'none' && options.append === undefined ? '' : commandLine(options.append, device),
    console: device,
    firmware: firmwareKind,
    ...compilerConfiguration(options.compiler),
  };
  if (options.paging !== undefined) configuration.paging = choice('paging', options.paging, kPagings);

  const files: NamedFile[] = [];
  const kernel = options.kernel === undefined ? defaults.kernel : fileSource('kernel', options.kernel, base);
  if (kernel === null) throw new MachineError('bad-option', 'kernel is missing, and none comes with this page.');
  files.push({ kind: 'kernel', source: kernel });
  if (options.initrd !== undefined && options.initrd !== null) {
    files.push({ kind: 'initrd', source: fileSource('initrd', options.initrd, base) });
  } else if (options.initrd === undefined && firmwareKind !== 'none' && defaults.initrd !== null) {
    files.push({ kind: 'initrd', source: defaults.initrd });
  }
  if (firmwareKind === 'file') files.push({ kind: 'firmware', source: fileSource('firmware', firmware, base) });
  if (options.disk !== undefined) {
    files.push({ kind: 'disk', source: fileSource('disk', options.disk, base) });
    configuration.disks = [{ source: 'disk' }];
  }
  return { configuration, files };
}
