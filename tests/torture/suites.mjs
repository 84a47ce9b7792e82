// SPDX-License-Identifier: Apache-2.0
// The torture suites that torture.sh runs in the guest, and the judgement of what it printed: by the suites' own
// verdicts and by the kernel's log. Pure functions of text; e2e/torture.ts runs the suites on the page,
// tools/torture/run.mjs in a terminal.

/** What each suite is made of: modules with the types that they torture, or stressors of stress-ng. */
export const suites = {
  rcutorture: { modules: { rcutorture: ['rcu', 'srcu'] } },
  locktorture: {
    modules: {
      locktorture: [
        'spin_lock_irq', 'raw_spin_lock', 'rw_lock_irq', 'mutex_lock', 'ww_mutex_lock', 'rtmutex_lock', 'rwsem_lock',
        'percpu_rwsem_lock',
      ],
    },
  },
  cpu: { stressors: ['cpu'] },
  vm: { stressors: ['vm'] },
  fork: { stressors: ['fork', 'vfork', 'clone'] },
  signal: { stressors: ['signal', 'sigq', 'sigsegv', 'kill'] },
  futex: { stressors: ['futex'] },
  pipe: { stressors: ['pipe'] },
  switch: { stressors: ['switch'] },
  timer: { stressors: ['timer', 'timerfd', 'itimer'] },
  broken: { modules: { locktorture: ['lock_busted'], rcutorture: ['busted'] } },
};
/** Those that must pass. The other one must not: it shows that the modules find what is wrong. */
export const suiteNames = Object.keys(suites).filter((name) => name !== 'broken');

/** What a machine for a suite has on its command line besides its console: with it the kernel is preemptible. */
export const commandLine = 'quiet preempt=full log_buf_len=4M';
export const memoryMegabytes = 512;
/** How long a suite may take at most that is to run for `seconds`, in a machine that has booted. */
export const patienceSeconds = (seconds) => seconds * 2 + 240;

/** What the kernel says when something is wrong, whoever notices it. */
const trouble = new RegExp([
  /\bBUG\b/, /\bWARNING: /, /\bOops\b/, /Kernel panic/, /Unable to handle/, /Call Trace:/, /\bstall/i, /lockup/i,
  /corrupt/i, /blocked for more than/, /Out of memory/, /page allocation failure/, /rcu_\w+ kthread .*starved/, /!!!/,
  /End of test: (?!SUCCESS)/, /failed to (start|come online)/, /torture_onoff task: (off|on)line .*fail/,
].map((pattern) => pattern.source).join('|'));

/** Words that only look like it: the torture modules' parameters, a boot option's echo. */
const harmless = /\b(stall_\w+=\S+|rcu_cpu_stall_\w+)/g;

const lastNumber = (text, pattern) => Number([...text.matchAll(pattern)].at(-1)?.[1] ?? 0);

/** The log between the marks that torture.sh wrote around one run, or null. */
function between(log, begin, end) {
  const from = log.indexOf(`torture: begin ${begin}`);
  const to = log.indexOf(`torture: end ${end}`, from);
  return from < 0 || to < 0 ? null : log.slice(from, to);
}

function judgeModule(module, types, log, problems, ran) {
  for (const type of types) {
    const part = between(log, `${module} ${type} `, `${module} ${type}\n`);
    if (part === null) {
      problems.push(`${module} ${type} did not come to its end`);
      continue;
    }
    const seconds = Number(/ (\d+) s:/.exec(part)[1]);
    const verdicts = [...part.matchAll(/End of test: (\w+)/g)].map((match) => match[1]);
    if (verdicts.join() !== 'SUCCESS') problems.push(`${module} ${type} says: ${verdicts.join(', ') || 'nothing'}`);
    const counts = module === 'rcutorture'
      ? {
        updates: lastNumber(part, /\bver: (\d+)/gi), reads: lastNumber(part, /Reader Pipe: +(\d+)/g),
        'checks of order': lastNumber(part, /\brtmbkf: \d+\/(\d+)/g),
        'harts stopped': lastNumber(part, /\bonoff: \d+\/\d+:(\d+)\/\d+/g),
      }
      : { writes: lastNumber(part, /Writes: +Total: (\d+)/g) };
    if (/^rw|rwsem/.test(type)) counts.reads = lastNumber(part, /Reads *: +Total: (\d+)/g);
    for (const [what, count] of Object.entries(counts)) if (!count) problems.push(`${module} ${type}: no ${what}`);
    const told = Object.entries(counts).map(([what, count]) => `${count} ${what}`).join(', ');
    ran.push(`${module} ${type} ${seconds} s: ${told}`);
  }
}

function judgeStress({ stressors }, text, problems, ran) {
  const begin = /^torture: begin stress-ng (\d+) s: (.*)$/m.exec(text);
  const status = /^torture: end stress-ng, exit status (\d+)$/m.exec(text)?.[1];
  if (!begin || status === undefined) {
    problems.push('stress-ng did not come to its end');
    return;
  }
  if (status !== '0') problems.push(`stress-ng's exit status is ${status}`);
  const complaints = text.matchAll(/^stress-ng: (?:fail|error): +\[\d+\] (.*)$/gm);
  for (const [, line] of complaints) problems.push(`stress-ng says: ${line}`);
  const [, failed] = /info: +\[\d+\] failed: (\d+)/.exec(text) ?? [];
  if (failed !== '0') problems.push(`stress-ng counts ${failed ?? 'no'} failed stressors`);
  const passed = /info: +\[\d+\] passed: \d+: (.*)$/m.exec(text)?.[1] ?? '';
  for (const name of stressors) {
    const wanted = new RegExp(` --${name} (\\d+)`).exec(` ${begin[2]}`)?.[1];
    if (!wanted || !new RegExp(`\\b${name} \\(${wanted}\\)`).test(passed)) {
      problems.push(`stress-ng: of ${name}, not ${wanted ?? 'any'} passed: "${passed}"`);
    }
    const metrics = new RegExp(`metrc: +\\[\\d+\\] ${name} +(\\d+) +([\\d.]+) `);
    const [, operations, seconds] = metrics.exec(text) ?? [];
    if (!(Number(operations) > 0)) problems.push(`stress-ng: ${name} did nothing`);
    ran.push(`stress-ng ${name} x ${wanted} ${seconds} s: ${operations} operations`);
  }
}

/**
 * Judges the whole output of `torture NAME SECONDS`: { problems, ran }, each a list of lines for people. Without
 * problems, the suite ran as long as it should and everything in it has passed.
 */
export function judge(name, output, seconds) {
  const problems = [];
  const ran = [];
  const text = output.replaceAll('\r\n', '\n');
  const at = text.indexOf('torture: kernel log\n');
  if (at < 0 || !/^torture: done$/m.test(text)) problems.push('the suite did not come to its end');
  const log = at < 0 ? '' : text.slice(at);
  for (const [module, types] of Object.entries(suites[name].modules ?? {})) {
    judgeModule(module, types, log, problems, ran);
  }
  if (suites[name].stressors) judgeStress(suites[name], text, problems, ran);
  const begun = [...(log || text).matchAll(/torture: begin \S+ (?:\S+ )??(\d+) s:/g)];
  const planned = begun.reduce((sum, match) => sum + Number(match[1]), 0);
  if (planned < seconds) problems.push(`it was to run for ${seconds} s, and ran for ${planned} s`);
  const lines = text.split('\n').filter((line) => trouble.test(line.replace(harmless, '')));
  for (const line of lines.slice(0, 20)) problems.push(`the log says: ${line.trim()}`);
  if (lines.length > 20) problems.push(`and ${lines.length - 20} more lines like these`);
  return { problems, ran };
}
