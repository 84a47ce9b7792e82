// SPDX-License-Identifier: Apache-2.0
// A machine under load that is saved, terminated and restored, again and again, in a page of any browser: for restore.ts and
// firefox.ts.

export interface Rounds {
  /** The address of dist/. */
  base: string;
  harts: number;
  rounds: number;
  /** Milliseconds for each answer of the guest. */
  timeout: number;
}

/** Evaluated in a page of the site, so it must stand on its own. Resolves with a line for each round, and one more at the end. */
export async function restoreRounds({ base, harts, rounds, timeout }: Rounds): Promise<string[]> {
  const { Machine } = await import(`${base}hartwood.js`) as typeof import('../web/api/index.ts');
  const disk = new Blob([new Uint8Array(4 << 20)]);
  let machine = await Machine.boot({ harts, memory: 128, append: 'quiet', compiler: 'early', disk });
  const says = async (command: string, pattern: RegExp): Promise<string> => {
    machine.console.write(`${command}\n`);
    const match = await machine.waitFor(pattern, { timeout });
    return match[1] ?? match[0];
  };
  await machine.waitFor(/:~# /, { timeout });
  await says('X=kept; dd if=/dev/urandom of=/tmp/file bs=64k count=20 2>/dev/null', /:~# /);
  const file = await says('md5sum /tmp/file', /\n([0-9a-f]{32}) /);
  // Compiling: a hot loop of the shell's. Forking: pipelines that always give the same. Writing: the file to the disk and
  // back, through the device each time.
  await says('n=0; while :; do n=$((n+1)); echo $n > /tmp/n.new; mv /tmp/n.new /tmp/n; done & P=$!', /:~# /);
  await says('while :; do seq 200 | sort -n | md5sum >> /tmp/sums; done & P="$P $!"', /:~# /);
  await says('while :; do dd if=/tmp/file of=/dev/vda bs=64k conv=fsync 2>/dev/null; echo 1 > /proc/sys/vm/drop_caches; '
    + 'head -c 1310720 /dev/vda | md5sum >> /tmp/disk; done & P="$P $!"', /:~# /);
  // On a slow machine, too, there is something to compare.
  await says('while [ $(wc -l < /tmp/sums) -lt 3 ]; do sleep 0.1; done; echo o$((1+1))k', /o2k/);
  const lines: string[] = [];
  let count = 0;
  for (let round = 0; round < rounds; round++) {
    await new Promise((resolve) => setTimeout(resolve, 300 + 137 * (round % 7)));
    const begin = performance.now();
    const blob = await machine.snapshot();
    const saved = performance.now();
    machine.terminate();
    machine = await Machine.restore(blob, { compiler: 'early', lazy: round % 2 === 0 });
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
}
