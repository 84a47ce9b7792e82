// SPDX-License-Identifier: Apache-2.0
// The messages between the page's API (web/api) and its workers. This file is the whole border: the page knows nothing
// else of the workers, and the workers nothing of the page. Types only, so it costs neither side a byte.
//
// A machine's start: the page posts `load` to the io worker (files begin to arrive) and, once the core is compiled,
// `create`. The io worker makes the memory and the machine and answers `created`; the page passes the memory on to the
// harts, the clock and the compiler with `start`; harts and clock answer `ready`. When the files are in place the io worker
// says `started`, and the page posts `run` to harts and clock. The compiler has its own ways: it waits for a word of shared
// memory and posts to the harts directly, over a port for each that the page hands out with `start`.

/** In the order of the core's numbers for hw_machine_file. */
export type FileKind = 'kernel' | 'initrd' | 'firmware' | 'dtb' | 'disk';

/** What progress is reported of. */
export type ProgressKind = FileKind | 'snapshot';

export type FileSource =
  /** `size`: bytes after decoding, where the page knows them (it saves waiting for the header). */
  | { url: string; size?: number }
  | { blob: Blob }
  | { bytes: Uint8Array };

export interface NamedFile {
  kind: FileKind;
  source: FileSource;
}

/** What the core reads as JSON (host/machine/config.h). Absent keys keep the core's defaults. */
export interface MachineConfiguration {
  harts: number;
  /** MiB */
  memory: number;
  append: string;
  console: 'virtio' | 'uart' | 'sbi';
  firmware: 'built-in' | 'file' | 'none';
  compiler: boolean;
  compiler_after?: number;
  compiler_visits?: number;
  paging?: 'sv39' | 'sv48' | 'sv57';
  disks?: { source: string; read_only?: boolean }[];
}

export type ErrorCode =
  | 'bad-option'
  | 'no-shared-memory'
  | 'out-of-memory'
  | 'fetch-failed'
  | 'bad-file'
  | 'core-failed'
  | 'worker-crashed'
  | 'not-loaded'
  | 'bad-snapshot'
  | 'cannot-reboot'
  | 'timeout'
  | 'ended';

export interface ErrorReport {
  code: ErrorCode;
  message: string;
  /** For us: the stack of the exception, the worker's name. */
  detail?: string;
}

/** A worker's own part of the shared memory, from hw_stack_low. Worker 0 is the io worker. */
export interface WorkerStack {
  number: number;
  low: number;
  size: number;
}

export type ToIo =
  | { type: 'load'; files: NamedFile[]; epoch: number }
  | { type: 'create'; module: WebAssembly.Module; configuration: MachineConfiguration }
  | { type: 'restore'; module: WebAssembly.Module; configuration: MachineConfiguration; snapshots: RestoredHeads; lazy: boolean }
  /** All of a restored machine's memory is here. */
  | { type: 'go'; follow: boolean }
  /** The clock is to return; the harts have their stop bits. */
  | { type: 'pause' }
  /** Questions, each answered by `answer` with its number. All output from before a freeze is posted before its answer. */
  /** `since`: milliseconds since the epoch of `load` when the browser stopped all workers, if it did. */
  | { type: 'freeze'; id: number; since?: number }
  | { type: 'thaw'; id: number; follow: boolean }
  | ({ type: 'save'; id: number } & SaveOptions)
  /** A line for the guest's agent; one that it does not take is lost. */
  | { type: 'agent'; line: string }
  | { type: 'input'; bytes: Uint8Array }
  | { type: 'resize'; columns: number; rows: number }
  /** The page has taken `bytes` of output off our hands. */
  | { type: 'consumed'; bytes: number };

/** The heads of snapshots: a full one, and increments to each other. */
export interface RestoredHeads {
  heads: Uint8Array[];
  /** What all disks take together. */
  diskBytes: number;
  /** `follow` of `thaw`, when the machine begins to run. */
  follow: boolean;
}

export interface SaveOptions {
  /** The page's, for SnapshotHead::notes. */
  notes: string;
  /** Only what was written since the last snapshot. */
  increment: boolean;
  /** Pages of RAM that come first. */
  order?: number[];
  /** 1 to 256. */
  chunkPages?: number;
}

export type FromIo =
  | { type: 'progress'; kind: ProgressKind; loaded: number; total: number | null }
  | {
      type: 'created';
      memory: WebAssembly.Memory;
      /** Address of struct MachineShared. */
      shared: number;
      /** Address of guest RAM. */
      ram: number;
      hartStacks: WorkerStack[];
      clockStack: WorkerStack;
      compilerStack: WorkerStack;
      pagerStack: WorkerStack;
      /** Of a restored machine: SnapshotHead::notes. */
      notes: string;
    }
  | { type: 'started' }
  /** `save`: the machine may run again; the rest of the work does not need it. */
  | { type: 'copied'; id: number }
  | { type: 'answer'; id: number; blob?: Blob; error?: ErrorReport }
  | { type: 'output'; from: 'console' | 'serial'; bytes: Uint8Array }
  /** From the guest's agent. */
  | { type: 'agent'; line: string }
  | { type: 'log'; level: number; text: string }
  /** The machine ended by itself; all of its output was posted before. `power` is a PowerState; `disks`: what is on them now. */
  | { type: 'ended'; power: number; exitCode: number; disks: Blob[] }
  | { type: 'error'; error: ErrorReport };

/** What every worker but the io worker starts with. */
export interface WorkerStart {
  type: 'start';
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  shared: number;
  stack: WorkerStack;
  epoch: number;
}

/** `translations`: where ToTranslations come from; null without a compiler. */
export type HartStart = WorkerStart & { hart: number; translations: MessagePort | null };

export type ToHart =
  | HartStart
  | { type: 'run' }
  /** To a hart that is stopped: execute so many instructions. */
  | { type: 'step'; count: number }
  /** Mail: counted in HartShared.mail_posted, announced by kAttentionMail. */
  | { type: 'ping'; id: number };

export type FromHart =
  | { type: 'ready' }
  | { type: 'pong'; id: number }
  | { type: 'stopped' }
  | { type: 'stepped'; count: number }
  | { type: 'ended' }
  | { type: 'log'; level: number; text: string }
  | { type: 'error'; error: ErrorReport };

export type ToClock = WorkerStart | { type: 'run' };
export type FromClock = Extract<FromHart, { type: 'ready' | 'ended' | 'log' | 'error' }>;

/** What a hart posts first over its `translations`. */
export const kTranslationsReady = 'ready';

/** `harts`: the other ends of their `translations`. */
export type ToCompiler = WorkerStart & { harts: MessagePort[] };
export type FromCompiler = Extract<FromHart, { type: 'log' | 'error' }>;

/** From the compiler to each hart, some at a time in an array. Mail, as `ping` is. */
export type ToTranslations =
  /** Its functions go to `count` slots of the function table from `slot` on. */
  | { type: 'module'; id: number; slot: number; count: number; module: WebAssembly.Module }
  /** Sets `count` slots of the function table from `slot` on to null. */
  | { type: 'drop'; id: number; slot: number; count: number };

/** `record`: nothing is brought that nobody waits for, and `report` is answered with what was waited for, in order. */
export type ToPager =
  | { type: 'open'; sources: FileSource[] }
  | (WorkerStart & { lazy: boolean; record: boolean })
  | { type: 'report' };

export type FromPager =
  /** `configuration`: the last one's, as it is in JSON; `diskBytes`: what its disks take together. */
  | { type: 'heads'; heads: Uint8Array[]; configuration: unknown; diskBytes: number }
  | { type: 'progress'; loaded: number; total: number }
  | { type: 'loaded' }
  /** The first pages of the chunks that were waited for. */
  | { type: 'order'; pages: number[] }
  | Extract<FromHart, { type: 'log' | 'error' }>;

/** A file of the browser's own storage: the whole of `data` into the file `name` of `folder`, which exists. */
export type ToStorage = { type: 'write'; folder: string; name: string; data: Blob } | { type: 'cancel' };

/** `name`: of the exception. After `done` or `failed` the file is closed. */
export type FromStorage = { type: 'written'; bytes: number } | { type: 'done' } | { type: 'failed'; name: string; message: string };
