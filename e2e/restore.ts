// SPDX-License-Identifier: Apache-2.0
// Saving and restoring under load in Chromium, RESTORE_ROUNDS times (10): each round saves what runs, terminates it, and goes
// on with what was saved, on 1, 2 and 4 harts in turn. Nothing may be lost: files, processes, what is being computed. Not one
// of the *.test.ts that the part e2e runs: `npm test -- --only restore`, 200 rounds by `npm run test:long`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withApi } from './api-page.ts';
import { useSite } from './support.ts';

const kRounds = Number(process.env['RESTORE_ROUNDS'] ?? 10);
const kHarts = [2, 1, 4];
const kRoundsEach = Math.ceil(kRounds / kHarts.length);

const site = useSite();

for (const harts of kHarts) {
  test(`${kRoundsEach} restores of a machine of ${harts} harts that compiles, forks and writes`, { timeout: 120_000 + kRoundsEach * 60_000 }, () =>
    withApi(site, async ({ page }) => {
      page.setDefaultTimeout(60_000 * kRoundsEach);
      const log = await page.evaluate(async ({ harts, rounds }) => {
        const slow = { timeout: 60_000 };
        const disk = new Blob([new Uint8Array(4 << 20)]);
        let machine = await globalThis.api.Machine.boot({ harts, memory: 128, append: 'quiet', compiler: 'early', disk });
        const says = async (command: string, pattern: RegExp): Promise<string> => {
          machine.console.write(`${command}\n`);
          const match = await machine.waitFor(pattern, slow);
          return match[1] ?? match[0];
        };
        await machine.waitFor(/:~# /, slow);
        await says('X=kept; dd if=/dev/urandom of=/tmp/file bs=64k count=20 2>/dev/null', /:~# /);
        const file = await says('md5sum /tmp/file', /\n([0-9a-f]{32}) /);
        // Compiling: a hot loop of the shell's. Forking: pipelines that always give the same. Writing: the file to the disk and
        // back, through the device each time.
        await says('n=0; while :; do n=$((n+1)); echo $n > /tmp/n.new; mv /tmp/n.new /tmp/n; done & P=$!', /:~# /);
        await says('while :; do seq 200 | sort -n | md5sum >> /tmp/sums; done & P="$P $!"', /:~# /);
        await says('while :; do dd if=/tmp/file of=/dev/vda bs=64k conv=fsync 2>/dev/null; echo 1 > /proc/sys/vm/drop_caches; '
          + 'head -c 1310720 /dev/vda | md5sum >> /tmp/disk; done & P="$P $!"', /:~# /);
        const lines: string[] = [];
        let count = 0;
        for (let round = 0; round < rounds; round++) {
          await new Promise((resolve) => setTimeout(resolve, 300 + 137 * (round % 7)));
          const begin = performance.now();
          const blob = await machine.snapshot();
          const saved = performance.now();
          machine.terminate();
          machine = await globalThis.api.Machine.restore(blob, { compiler: 'early', lazy: round % 2 === 0 });
          lines.push(`round ${round}: saved ${(blob.size / 1e6).toFixed(1)} MB in ${(saved - begin).toFixed(0)} ms, restored in ${(performance.now() - saved).toFixed(0)}`);
          const state = await says('echo =$X=$(cat /tmp/n)=$(head -n -1 /tmp/sums | sort -u | wc -l)=$(head -n -1 /tmp/disk | sort -u | cut -c1-32)=$(kill -0 $P && echo alive)=', /\n(=[^=\r\n]*=\d[^\r\n]*=)\r/);
          const [, shell, counter, sums, disks, alive] = state.split('=');
          const sum = await says('md5sum /tmp/file', /\n([0-9a-f]{32}) /);
          if (shell !== 'kept' || sum !== file || sums !== '1' || (disks !== file && disks !== '') || alive !== 'alive' || !(Number(counter) > count)) {
            throw new Error(`round ${round}: ${state} (the file ${file}, now ${sum}; the counter was ${count})`);
          }
          count = Number(counter);
        }
        lines.push(await says('clear; dmesg | grep -w -i -e stall -e lockup -e bug -e oops; echo complaints: none', /\[J(complaints: none)/));
        machine.terminate();
        return lines;
      }, { harts, rounds: kRoundsEach });
      console.log(log.join('\n'));
      assert.equal(log.length, kRoundsEach + 1);
    }));
}
