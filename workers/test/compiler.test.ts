// SPDX-License-Identifier: Apache-2.0
// The compiler tier's JavaScript with a core of the test's own, whose regions are real modules: the compiler's loop, what a
// hart does with its mail, and the two together across threads.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { MessageChannel, Worker } from 'node:worker_threads';
import {
  HartShared_attention, HartShared_mail_posted, HartShared_mail_taken, HartShared_modules_installed, MachineShared_power,
  kAttentionMail, kPowerOff, sizeof_MachineShared,
} from '../../build/generated/layout.ts';
import { Compiler, type CompilerExports, type Receiver } from '../compiler.ts';
import { HartMailbox, hartWords } from '../mail.ts';
import { makeTurn } from '../platform.ts';
import type { ToTranslations } from '../protocol.ts';
import { makeWaitForChange } from '../wait.ts';
import { makeRoom, Translations } from '../translations.ts';
import { makeHartCore } from './hart-core.ts';
import { tinyModule } from './tiny-module.ts';

const kShared = 4096;
const kWord = 64;
const kCode = 128;
const kPages = Math.ceil((kShared + sizeof_MachineShared) / 65536) + 1;
const turn = makeTurn();

/** A memory and the half of a core that makes modules: requests are bytes, in the order of `queue`. */
class FakeCore {
  readonly memory = new WebAssembly.Memory({ initial: kPages, maximum: 65536, shared: true });
  readonly queue: Uint8Array[] = [];
  readonly evicted: number[] = [];
  readonly failed: number[] = [];
  readonly calls: string[] = [];
  private readonly bytes = new Uint8Array(this.memory.buffer);
  private readonly words = new Int32Array(this.memory.buffer);
  private length = 0;
  private made = 0;

  readonly exports: CompilerExports = {
    hw_compiler_word: () => kWord,
    hw_compile: () => {
      this.calls.push('compile');
      this.bytes.fill(0xee, kCode, kCode + this.length); // the last module is gone
      const next = this.queue.shift();
      if (next === undefined) return 0;
      this.bytes.set(next, kCode);
      this.length = next.length;
      return ++this.made;
    },
    hw_compiled_bytes: () => kCode,
    hw_compiled_length: () => this.length,
    hw_compiled_failed: (id) => void this.failed.push(id),
    hw_dropped_next: () => this.evicted.shift() ?? 0,
    hw_module_slot: (id) => 1000 + id,
    hw_module_slots: () => 2,
  };

  request(...modules: Uint8Array[]): void {
    this.queue.push(...modules);
    this.notify();
  }
  notify(): void {
    Atomics.add(this.words, kWord / 4, 1);
    Atomics.notify(this.words, kWord / 4);
  }
  end(): void {
    Atomics.store(this.words, (kShared + MachineShared_power) / 4, kPowerOff);
    this.notify();
  }
  compilerFor(
    harts: readonly Receiver[], log: (text: string) => void = assert.fail, wait = makeWaitForChange(),
  ): Compiler {
    return new Compiler({
      exports: this.exports, buffer: this.memory.buffer, shared: kShared, harts, wait, turn,
      log: (level, text) => log(`${level} ${text}`),
    });
  }
}

/** A hart that only keeps what it was sent, and a promise of the moment when it has got `count` messages. */
class Inbox {
  readonly messages: ToTranslations[] = [];
  private waiting: { count: number; resolve: () => void } | null = null;
  post(messages: readonly ToTranslations[]): void {
    this.messages.push(...messages);
    if (this.waiting !== null && this.messages.length >= this.waiting.count) this.waiting.resolve();
  }
  hurry(): boolean {
    return false;
  }
  get(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.waiting = { count, resolve };
      if (this.messages.length >= count) resolve();
    });
  }
  get summary(): string[] {
    return this.messages.map((message) => `${message.type} ${message.id}`);
  }
}

for (const [name, wait] of [['Atomics.waitAsync', makeWaitForChange()], ['polling', makeWaitForChange(null)]] as const) {
  test(`every module goes to every hart, whenever it is asked for (${name})`, async () => {
    const core = new FakeCore();
    const inboxes = [new Inbox(), new Inbox()];
    core.request(tinyModule({ slot: 1, addend: 1 }), tinyModule({ slot: 2, addend: 2 }));
    const run = core.compilerFor(inboxes, assert.fail, wait).run();
    await Promise.all(inboxes.map((each) => each.get(2)));
    core.request(tinyModule({ slot: 3, addend: 3 }));
    await Promise.all(inboxes.map((each) => each.get(3)));
    core.end();
    await run;
    for (const inbox of inboxes) assert.deepEqual([...inbox.summary].sort(), ['module 1', 'module 2', 'module 3']);
    const [first, second] = inboxes.map((each) => each.messages.find(({ id }) => id === 3));
    assert.ok(first?.type === 'module' && second?.type === 'module');
    assert.equal(first.module, second.module, 'compiled once');
  });
}

test('it sleeps while nothing is asked for', async () => {
  const core = new FakeCore();
  const run = core.compilerFor([]).run();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(core.calls.length <= 2, `${core.calls.length} calls`);
  core.end();
  await run;
});

test('a machine that ends while much is queued is not waited for', async () => {
  const core = new FakeCore();
  const inbox = new Inbox();
  core.request(...Array.from({ length: 10_000 }, (_, slot) => tinyModule({ slot, addend: 1 })));
  const run = core.compilerFor([inbox]).run();
  await inbox.get(3);
  core.end();
  await run;
  assert.ok(core.queue.length > 0);
});

test('what the engine refuses is told to the core and logged, and the rest goes on', async () => {
  const core = new FakeCore();
  const inbox = new Inbox();
  const logged: string[] = [];
  core.request(Uint8Array.of(0, 0x61, 0x73, 0x6d, 9, 9, 9, 9), tinyModule({ slot: 1, addend: 1 }));
  const run = core.compilerFor([inbox], (text) => logged.push(text)).run();
  await inbox.get(1);
  core.end();
  await run;
  assert.deepEqual(inbox.summary, ['module 2']);
  assert.deepEqual(core.failed, [1]);
  assert.equal(logged.length, 1);
  assert.match(logged[0] ?? '', /^0 The engine refused module 1 of 8 bytes: /);
});

test('a drop comes after its module, even while the engine works on that', async (context) => {
  const core = new FakeCore();
  const inbox = new Inbox();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const compile = WebAssembly.compile.bind(WebAssembly);
  let asked = 0;
  context.mock.method(WebAssembly, 'compile', async (bytes: Uint8Array<ArrayBuffer>) => {
    const first = asked++ === 0; // whichever the engine has done first
    const module = await compile(bytes);
    if (first) await released;
    return module;
  });
  core.request(tinyModule({ slot: 1, addend: 1 }), tinyModule({ slot: 2, addend: 1 }));
  const run = core.compilerFor([inbox]).run();
  await inbox.get(1);
  core.evicted.push(1, 2);
  core.notify();
  await inbox.get(2);
  assert.deepEqual(inbox.summary, ['module 2', 'drop 2']);
  assert.deepEqual(inbox.messages[1], { type: 'drop', id: 2, slot: 1002, count: 2 });
  release();
  await inbox.get(4);
  assert.deepEqual(inbox.summary.slice(2), ['module 1', 'drop 1']);
  core.end();
  await run;
});

test('a core that fails, and a port that fails, end the run with that error', async () => {
  const core = new FakeCore();
  core.exports.hw_compile = () => {
    throw new WebAssembly.RuntimeError('unreachable');
  };
  await assert.rejects(core.compilerFor([]).run(), /unreachable/);
  const other = new FakeCore();
  other.request(tinyModule({ slot: 1, addend: 1 }));
  const broken = {
    post() {
      throw new Error('no such port');
    },
    hurry: () => false,
  };
  await assert.rejects(other.compilerFor([broken]).run(), /no such port/);
  other.end();
});

test('a hart installs modules into its own table with its own core, and forgets them', () => {
  const memory = new WebAssembly.Memory({ initial: kPages, maximum: 65536, shared: true });
  const { exports, events } = makeHartCore(100);
  const translations = new Translations(exports, memory, 1);
  const table = exports.__indirect_function_table;
  assert.equal(table.length, 16);
  const module = new WebAssembly.Module(tinyModule({ slot: 18, slots: 2, addend: 5 }));
  translations.receive({ type: 'module', id: 7, slot: 18, count: 2, module });
  assert.equal(table.get(18)(1), 106);
  assert.equal(table.get(19)(2), 107);
  assert.equal(table.get(20), null);
  translations.receive({ type: 'drop', id: 7, slot: 18, count: 2 });
  assert.equal(table.get(18), null);
  assert.equal(table.get(19), null);
  assert.deepEqual(events, ['installed 1 7', 'dropped 1 7']);
});

test('a module that asks for what the core lacks is named, and so is a table that is too full', () => {
  const memory = new WebAssembly.Memory({ initial: kPages, maximum: 65536, shared: true });
  const { exports } = makeHartCore(100);
  const translations = new Translations(exports, memory, 0);
  const module = new WebAssembly.Module(tinyModule({ slot: 18, addend: 5, helper: 'hw_stranger' }));
  assert.throws(() => translations.receive({ type: 'module', id: 1, slot: 18, count: 1, module }), /hw_stranger/);
  assert.throws(() => new Translations(exports, memory, 0), /has 24 functions in its table, where translated code begins at 16/);
});

test('a table grows to what is needed, by doubling, and to no more than all slots', () => {
  const slots = { first: 100, end: 100 + 5000 };
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 90 });
  const lengths = [101, 1124, 1125, 1126, 3150, 5100].map((length) => {
    makeRoom(table, slots, length);
    return table.length;
  });
  assert.deepEqual(lengths, [1124, 1124, 2148, 2148, 4196, 5100]);
});

test('mail: the message, then the count, then the bit', () => {
  const words = new Int32Array(new SharedArrayBuffer(1024));
  const seen: number[] = [];
  const look = (): void => void seen.push(words[HartShared_mail_posted / 4] ?? -1, words[HartShared_attention / 4] ?? -1);
  const port = { postMessage: look } as unknown as MessagePort;
  new HartMailbox(port, words).post([{ type: 'drop', id: 1, slot: 1, count: 1 }]);
  look();
  assert.deepEqual(seen, [0, 0, 1, kAttentionMail]);
});

test('mail: a hart that has taken everything is not woken, one that has not is', () => {
  const words = new Int32Array(new SharedArrayBuffer(1024));
  const mailbox = new HartMailbox({ postMessage: () => {} } as unknown as MessagePort, words);
  assert.equal(mailbox.hurry(), false);
  assert.equal(words[HartShared_attention / 4], 0);
  mailbox.post([{ type: 'drop', id: 1, slot: 1, count: 1 }]);
  words[HartShared_attention / 4] = 0; // it came out of the core, and went back before the message had come
  assert.equal(mailbox.hurry(), true);
  assert.equal(words[HartShared_attention / 4], kAttentionMail);
  words[HartShared_mail_taken / 4] = 1;
  assert.equal(mailbox.hurry(), false);
});

test('when nothing more comes, harts are hurried until they have their mail, but not for ever', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const core = new FakeCore();
  const hurried = [0, 0];
  const inbox = new Inbox();
  const harts = [3, Infinity].map((needed, hart) => ({
    post: (messages: readonly ToTranslations[]) => inbox.post(messages),
    hurry: () => (hurried[hart] = (hurried[hart] ?? 0) + 1) < needed,
  }));
  core.request(tinyModule({ slot: 1, addend: 1 }));
  const run = core.compilerFor(harts).run();
  await inbox.get(2);
  assert.deepEqual(hurried, [0, 0]);
  for (let times = 1; times <= 25; times++) {
    t.mock.timers.tick(30);
    assert.deepEqual(hurried, [Math.min(times, 20), Math.min(times, 20)]);
  }
  core.end();
  await run;
});

test('across threads: a hart that is busy gets its modules, calls them, and loses them', async () => {
  const core = new FakeCore();
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL('./hart-stand-in.ts', import.meta.url), {
    workerData: { memory: core.memory, shared: kShared, hart: 1, port: port2 }, transferList: [port2],
  });
  after(() => worker.terminate());
  const results: string[] = [];
  const done = new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', (text: string) => (text === 'end' ? resolve() : void results.push(text)));
  });
  const words = hartWords(core.memory.buffer, kShared, 1);
  const until = async (condition: () => boolean): Promise<void> => {
    for (const start = performance.now(); !condition();) {
      assert.ok(performance.now() - start < 10_000, 'it takes too long');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const run = core.compilerFor([new HartMailbox(port1 as unknown as MessagePort, words)]).run();
  core.request(...Array.from({ length: 4 }, (_, index) => tinyModule({ slot: 16 + index, addend: index })));
  await until(() => Atomics.load(words, HartShared_modules_installed / 4) === 4);
  core.evicted.push(1, 2);
  core.exports.hw_module_slot = (id) => 15 + id;
  core.exports.hw_module_slots = () => 1;
  core.notify();
  await until(() => core.evicted.length === 0
    && Atomics.load(words, HartShared_mail_taken / 4) === Atomics.load(words, HartShared_mail_posted / 4));
  core.end();
  await run;
  await done;
  assert.equal(Atomics.load(words, HartShared_mail_posted / 4), Atomics.load(words, HartShared_mail_taken / 4));
  assert.deepEqual(results, ['slots: null null 102 103']);
});
