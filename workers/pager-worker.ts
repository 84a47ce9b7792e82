// SPDX-License-Identifier: Apache-2.0
// The worker that loads snapshots into a restored machine. It begins with the heads, before there is a machine, and goes on
// while the machine runs.
import { instantiateCore } from './core.ts';
import { MachineFailure } from './incoming-file.ts';
import { describeError, parentPort } from './platform.ts';
import type { ErrorReport, FromPager, ToPager } from './protocol.ts';
import { inspectHead } from './snapshot-head.ts';
import { SnapshotPager } from './snapshot-pager.ts';
import { SnapshotSource } from './snapshot-source.ts';
import { makeWaitForChange } from './wait.ts';

const parent = parentPort<ToPager, FromPager>();
let sources: SnapshotSource[] = [];
let pager: SnapshotPager | null = null;

const kReportEveryMs = 100;

function report(error: unknown): ErrorReport {
  const { message, detail } = describeError(error);
  return error instanceof MachineFailure
    ? { code: error.code, message, detail }
    : { code: 'worker-crashed', message: `The pager crashed: ${message}`, detail };
}

async function receive(message: ToPager): Promise<void> {
  switch (message.type) {
    case 'open': {
      sources = message.sources.map((source) => new SnapshotSource(source));
      const heads = await Promise.all(sources.map((source) => source.head()));
      const last = heads.at(-1);
      if (last !== undefined) parent.postMessage({ type: 'heads', heads, ...inspectHead(last) });
      break;
    }
    case 'start': {
      const core = instantiateCore({ ...message, log: (level, text) => parent.postMessage({ type: 'log', level, text }) });
      let told = -Infinity;
      pager = new SnapshotPager({
        core, sources, lazy: message.lazy, record: message.record, wait: makeWaitForChange(),
        progress: (loaded, total) => {
          const now = performance.now();
          if (loaded < total && now - told < kReportEveryMs) return;
          told = now;
          parent.postMessage({ type: 'progress', loaded, total });
        },
      });
      await pager.run();
      parent.postMessage({ type: 'loaded' });
      break;
    }
    case 'report':
      parent.postMessage({ type: 'order', pages: pager?.order ?? [] });
      break;
  }
}

parent.onmessage = ({ data }) => {
  receive(data).catch((error: unknown) => parent.postMessage({ type: 'error', error: report(error) }));
};
