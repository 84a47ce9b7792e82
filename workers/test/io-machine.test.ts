// SPDX-License-Identifier: Apache-2.0
// What the io worker reports when a machine cannot be made.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IoMachine } from '../io-machine.ts';
import type { ErrorReport, FromIo, MachineConfiguration, NamedFile } from '../protocol.ts';

const kConfiguration: MachineConfiguration = { harts: 1, memory: 64, append: '', console: 'virtio', firmware: 'built-in', compiler: true };
/** (module (import "foo" "bar" (func))) */
const kStranger = new WebAssembly.Module(Uint8Array.from([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
  0x01, 0x04, 0x01, 0x60, 0x00, 0x00,
  0x02, 0x0b, 0x01, 0x03, 0x66, 0x6f, 0x6f, 0x03, 0x62, 0x61, 0x72, 0x00, 0x00,
]));

/** The error that a start with these ends with. */
function failure(files: NamedFile[], configuration = kConfiguration): Promise<ErrorReport> {
  return new Promise((resolve) => {
    const machine = new IoMachine((message: FromIo) => {
      if (message.type === 'error') resolve(message.error);
    });
    machine.receive({ type: 'load', files, epoch: 0 });
    machine.receive({ type: 'create', module: kStranger, configuration });
  });
}
const kKernel: NamedFile = { kind: 'kernel', source: { bytes: new Uint8Array(10) } };

test('a browser without memory left', async (context) => {
  context.mock.method(WebAssembly, 'Memory', function refuse() {
    throw new RangeError('WebAssembly.Memory(): could not allocate memory');
  });
  const { code, message } = await failure([kKernel]);
  assert.equal(code, 'out-of-memory');
  assert.match(message, /The browser has no \d+ MiB of memory for this machine/);
});

test('more than 32-bit addresses reach', async () => {
  const huge = { size: 3 * 2 ** 30, stream: () => new ReadableStream() } as unknown as Blob;
  const { code, message } = await failure([kKernel, { kind: 'disk', source: { blob: huge } }], { ...kConfiguration, memory: 2048 });
  assert.equal(code, 'out-of-memory');
  assert.match(message, /needs \d+ MiB; a browser gives at most 4096 MiB/);
});

test('a core that asks for what we do not have is named', async () => {
  const { code, message } = await failure([kKernel]);
  assert.equal(code, 'worker-crashed');
  assert.match(message, /foo\.bar/);
});

test('a file that does not come', async () => {
  const { code, message } = await failure([{ kind: 'initrd', source: { url: 'http://127.0.0.1:1/initrd' } }]);
  assert.equal(code, 'fetch-failed');
  assert.match(message, /initial RAM disk could not be loaded/);
});
