// SPDX-License-Identifier: Apache-2.0
// Checks the models beside this script with spin, exhaustively: each scenario must verify, with every state visited, and
// each mistake (a WRONG_ switch of the models), put into a scenario that verifies without it, must be refuted.
//
//   node tests/model/run.mjs [NAME]...          names of scenarios or mistakes; prints the states of each
//   node tests/model/run.mjs --trace NAME       every step of the counterexample
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execute, jobs, readOptions, root, runMain, UserError } from '../../tools/lib/project.mjs';

const here = join(root, 'tests/model');
const megabytes = 1900; // of each of two checkers
const secondsToRun = 240;

// The switches are explained where the models begin. `cycles`: also looks for runs that never come to rest. `large`: states
// are stored compressed.
const scenarios = {
  'fences-crossed': { flags: 'FENCES={2,2} LEAVES={1,1} HARTS=2', cycles: true },
  'fences-of-two': { flags: 'FENCES={1,1,0}' },
  'fences-of-two-running': { flags: 'FENCES={1,1,0} RUNNING', cycles: true },
  'fences-of-three': { flags: 'FENCES={1,1,1} RUNNING ONE_PAGE COARSE', large: true },
  'fences-and-sleepers': { flags: 'FENCES={1,0,0} WFI={0,1,1} LEAVES={0,0,1}' },
  'fences-of-two-and-sleeper': { flags: 'FENCES={1,1,0} WFI={0,0,1}' },
  'fences-and-time': { flags: 'FENCES={1,1} WFI={1,1} ALONE={1,0} SPURIOUS=1 TIMEOUTS=1 HARTS=2', cycles: true },
  'alone-crossed': { flags: 'ALONE={2,1} FENCES={1,1} LEAVES={1,0} HARTS=2', cycles: true },
  'alone-of-three': { flags: 'ALONE={1,1,1}' },
  'alone-among-fences': { flags: 'ALONE={0,0,1} FENCES={1,1,0} RUNNING ONE_PAGE COARSE', large: true },
  'alone-among-sleepers': { flags: 'ALONE={1,0,0} WFI={0,1,1} LEAVES={0,1,0}', cycles: true },
  interrupts: { flags: 'INTERRUPTS=2 WFI={1,1,1}' },
  'interrupts-of-one': { flags: 'INTERRUPTS=3 WFI={1} TIMEOUTS=1 SPURIOUS=1 LEAVES={1} HARTS=1', cycles: true },
  'pause-of-one-hart': { flags: 'PAUSES=2 PINGS=1 WFI={1} INTERRUPTS=1 HARTS=1', cycles: true },
  'pauses-and-interrupts': { flags: 'PAUSES=1 INTERRUPTS=1 WFI={1,1} HARTS=2' },
  'pauses-and-mail': { flags: 'PAUSES=2 PINGS=1 HARTS=2' },
  'mail-once': { flags: 'PAUSES=2 PINGS=1 WFI={1} INTERRUPTS=1 HARTS=1 ONCE' },
  'ping-of-a-sleeper': { flags: 'PINGS=1 LATE=1 WFI={1} HARTS=1' },
  'pauses-and-late-mail': { flags: 'PAUSES=1 PINGS=2 LATE=1 HARTS=1' },
  'pause-of-three': { flags: 'PAUSES=1 WFI={1,0,0}' },
  'pause-of-one-among-fences': { flags: 'PAUSES=1 PAUSED=1 FENCES={0,1,0} COARSE' },
  'pause-of-one-crossed': { flags: 'PAUSES=2 PAUSED=1 FENCES={1,1} HARTS=2' },
  'pause-of-one-alone': { flags: 'PAUSES=1 PAUSED=1 ALONE={1,1} WFI={1,0} HARTS=2' },
  // The page's answer to 'stopped' is a second net: 'run' of resume() is enough.
  'pauses-without-answer': { flags: 'PAUSES=2 PINGS=1 HARTS=2 WITHOUT_ANSWER' },
  clock: { model: 'clock', flags: 'ARMS={1,1}', cycles: true },
  'clock-again': { model: 'clock', flags: 'ARMS={2,0} TICKS=3' },
  'clock-of-three': { model: 'clock', flags: 'ARMS={1,1,0} HARTS=3' },
  'clock-stopped': { model: 'clock', flags: 'ARMS={1,0} STOPS=1' },
  // The compare-exchange of a deadline is a second net: the bit makes the hart arm it again.
  'clock-without-exchange': { model: 'clock', flags: 'ARMS={1,1} WITHOUT_EXCHANGE' },
};

// [switch, scenario, what it does]
const mistakes = [
  ['ACKNOWLEDGE_BEFORE_FLUSH', 'fences-crossed', 'a fence request is acknowledged before the target has flushed'],
  ['ACKNOWLEDGE_WHAT_CAME_LATER', 'fences-of-two', 'the request counters are read again after the flush'],
  ['BARE_NOTIFY', 'fences-crossed', 'an acknowledgement only wakes the initiator, without a bit in its word'],
  ['ACK_TAKEN_LATE', 'fences-crossed', 'the initiator clears its acknowledgement bit after it has looked at the counters'],
  ['FLUSH_TAKEN_LATE', 'fences-of-two', 'the target clears its flush bit after it has read the counters'],
  ['PAYLOAD_AFTER_COUNT', 'fences-crossed', 'a request is counted before its payload is there'],
  ['UNPARK_FORGETS_MARK', 'fences-crossed', 'a hart looks at its parking state, then overwrites it'],
  ['MARK_WITHOUT_EXCHANGE', 'fences-crossed', 'an initiator looks at the parking state, then overwrites it'],
  ['WAITER_SERVES_NOBODY', 'fences-crossed', 'a hart that waits for its own fence does not serve those of others'],
  ['WAITER_NEVER_YIELDS', 'alone-crossed', 'a hart that waits for its own fence does not park for one that wants to run alone'],
  ['SLEEP_WITHOUT_RECHECK', 'interrupts', 'a hart goes to sleep without a look at its word after it has parked'],
  ['SLEEPER_IGNORES_FENCES', 'fences-and-sleepers', 'a flush bit does not keep a hart from sleeping'],
  ['RETURN_WITHOUT_RECHECK', 'pause-of-one-crossed', 'a hart leaves the core without a look at its word after it has parked'],
  ['ALONE_WITHOUT_RECHECK', 'alone-of-three', 'a hart that leaves parking yields only if its own word says so'],
  ['ALONE_LOOKS_FIRST', 'alone-of-three', 'a hart looks who runs before it says that it wants to run alone'],
  ['YIELD_WITHOUT_PARKING', 'alone-crossed', 'a hart that yields stays marked as running'],
  ['YIELD_WITH_BARE_NOTIFY', 'alone-crossed', 'a hart that yields sets no bit in the word of the one that waits for it'],
  ['END_TELLS_NOBODY', 'alone-crossed', 'the end of running alone wakes nobody'],
  ['EXCLUSIVE_NOT_TAKEN', 'alone-crossed', 'a hart that yields keeps the bit that asked it to: it yields for ever'],
  ['INTERRUPT_TAKEN_LATE', 'interrupts', 'a hart clears the interrupt bit after it has looked at the lines'],
  ['BIT_BEFORE_LINE', 'interrupts', 'the interrupt bit is set before the line'],
  ['NOTIFY_BEFORE_BIT', 'interrupts', 'a hart is woken before the bit is set'],
  ['SLEEPER_IGNORES_STOP', 'pauses-and-interrupts', 'a stop bit does not wake a hart from WFI'],
  ['STOP_TAKEN_BY_HART', 'pauses-and-mail', 'a hart clears its stop bit on the way out'],
  ['RESUME_CLEARS_WORD', 'pauses-and-interrupts', 'resume() clears all bits of the word'],
  ['RESUME_WITHOUT_RUN', 'pauses-and-mail', "resume() posts no 'run' and relies on its answer to 'stopped'"],
  ['MAIL_BIT_FIRST', 'mail-once', 'the mail bit is set before the message is posted and counted'],
  ['CLOCK_WITHOUT_RECHECK', 'clock', 'the clock sleeps without another look at the deadlines'],
  ['DEADLINE_COMPARED_FIRST', 'clock', "a hart compares its deadline with the clock's before it stores it"],
  ['TIMER_TAKEN_LATE', 'clock-again', 'a hart clears its timer bit after it has looked at the clock'],
  ['WORD_READ_LATE', 'clock-stopped', 'the clock looks whether it has to end, and then reads the word that it sleeps on'],
  ['PING_ONCE', 'ping-of-a-sleeper', 'the page sets the mail bit once, for a message that comes later than the turn it caused'],
  ['STOP_TELLS_NOBODY', 'clock-stopped', 'whoever stops the clock does not wake it'],
];

async function must(command, args, options) {
  const result = await execute(command, args, { keep: true, ...options });
  if (result.code !== 0) throw new UserError(`${command} failed`, { tail: result.lines.slice(-25) });
  return result.lines;
}

const switches = ({ flags }, wrong) => [...flags.split(' '), ...(wrong ? [`WRONG_${wrong}`] : [])].map((flag) => `-D${flag}`);

/** Runs spin's checker in a folder. { complete, refuted: message or undefined, states, depth, seconds, lines }. */
async function check(scenario, folder, wrong) {
  const model = join(here, `${scenario.model ?? 'harts'}.pml`);
  mkdirSync(folder);
  await must('spin', ['-a', ...switches(scenario, wrong), model], { cwd: folder });
  const options = [scenario.cycles ? '-DNP' : '-DSAFETY', `-DMEMLIM=${megabytes}`, ...(scenario.large ? ['-DCOLLAPSE'] : [])];
  const level = wrong ? '-O0' : scenario.large ? '-O2' : '-O1'; // most are checked sooner than optimised
  await must('gcc', [level, '-w', ...options, '-o', 'pan', 'pan.c'], { cwd: folder });
  // Harts that rest are not at an end of their program: what rest is, the models assert (-E).
  const result = await execute('./pan', ['-E', '-m1000000', ...(scenario.cycles ? ['-l'] : [])], { cwd: folder, keep: true, timeoutSeconds: secondsToRun });
  const text = result.lines.join('\n');
  const found = /^pan:1: (.*)$/m.exec(text)?.[1];
  const errors = Number(/errors: (\d+)/.exec(text)?.[1] ?? NaN);
  const broken = result.code !== 0 || /MEMLIM|out of memory|max search depth|not completed/i.test(text);
  return {
    complete: errors === 0 && found === undefined && !broken,
    refuted: errors === 1 && /^(assertion violated|non-progress cycle)/.test(found ?? '') ? found.replace(/ \(at depth (\d+)\)/, ' after $1 steps') : undefined,
    states: Number(/^\s*(\d+) states, stored/m.exec(text)?.[1] ?? 0),
    seconds: result.seconds, lines: result.lines,
  };
}

async function trace(scenario, folder, wrong) {
  const model = join(here, `${scenario.model ?? 'harts'}.pml`);
  return (await execute('spin', ['-t', '-p', '-g', '-B', ...switches(scenario, wrong), model], { cwd: folder, keep: true })).lines;
}

await runMain(async (args) => {
  const { options, rest: names } = readOptions(args, { trace: '' });
  if (options.trace) names.push(options.trace);
  const checks = [
    ...Object.entries(scenarios).map(([name, scenario]) => ({ name, scenario })),
    ...mistakes.map(([wrong, name, bug]) => ({ name: wrong, scenario: scenarios[name], wrong, bug: `${name}: ${bug}.` })),
  ];
  const unknown = names.filter((name) => !checks.some((each) => each.name === name));
  if (unknown.length) throw new UserError(`not known: ${unknown.join(', ')}; there are: ${checks.map(({ name }) => name).join(', ')}`);
  const chosen = checks.filter(({ name }) => !names.length || names.includes(name));
  // The largest first, so that two run side by side to the end.
  chosen.sort((a, b) => Number(b.scenario.large && !b.wrong || 0) - Number(a.scenario.large && !a.wrong || 0));
  const work = mkdtempSync(join(tmpdir(), 'hartwood-model-'));
  let passed = 0, failed = 0, states = 0;
  const worker = async () => {
    for (let each = chosen.shift(); each !== undefined; each = chosen.shift()) {
      const { name, scenario, wrong, bug } = each;
      const folder = join(work, name);
      const result = await check(scenario, folder, wrong);
      const good = bug ? result.refuted !== undefined : result.complete;
      good ? passed++ : failed++;
      states += result.states;
      const outcome = result.refuted ? `refuted: ${result.refuted}` : result.complete ? 'verified' : 'NOT checked to the end';
      console.log(`${good ? 'ok    ' : 'FAILED'} ${name}: ${outcome}, ${result.states.toLocaleString('en')} states, ${result.seconds.toFixed(1)} s`);
      if (bug) console.log(`       ${bug}`);
      const steps = options.trace || (!good && result.refuted) ? await trace(scenario, folder, wrong) : [];
      for (const line of options.trace ? steps : steps.slice(-60)) console.log(`    | ${line}`);
      if (!good && !result.refuted) for (const line of result.lines.slice(-25)) console.log(`    | ${line}`);
      rmSync(folder, { recursive: true, force: true });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(2, jobs) }, worker));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  console.log(`\n${states.toLocaleString('en')} states\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
});
