// SPDX-License-Identifier: Apache-2.0
// Text that is shown a second time: nothing in it that a terminal answers, and all else as it was. xterm.js, the page's
// terminal, is the judge: it is given the text and must stay silent, and show what it shows of the text as it came.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import type { Terminal } from '@xterm/xterm';
import { readNotes, writeNotes } from '../api/console-tail.ts';
import { withoutQuestions } from '../api/terminal-questions.ts';

// Its file is made for pages.
Object.assign(globalThis, { self: globalThis, window: globalThis });
const { Terminal: XTerm } = createRequire(import.meta.url)('@xterm/xterm') as { Terminal: typeof Terminal };

const bytesOf = (text: string | Uint8Array): Uint8Array => (typeof text === 'string' ? new TextEncoder().encode(text) : text);
const clean = (text: string | Uint8Array): string => Buffer.from(withoutQuestions(bytesOf(text))).toString('latin1');
const latin = (text: string | Uint8Array): string => Buffer.from(bytesOf(text)).toString('latin1');

/** What the terminal says to the text, and what it shows in the end. */
async function shown(text: Uint8Array): Promise<{ answers: string[]; screen: string }> {
  const terminal = new XTerm({ cols: 40, rows: 10, scrollback: 0, allowProposedApi: true, logLevel: 'off', windowOptions: { getWinSizeChars: true } });
  const answers: string[] = [];
  terminal.onData((data) => void answers.push(data));
  terminal.onBinary((data) => void answers.push(data));
  // Without a page it has no colours, but it understands the questions.
  for (const number of [4, 10, 11, 12]) {
    terminal.parser.registerOscHandler(number, (data) => {
      if (data.split(';').includes('?')) answers.push(`OSC ${number};${data}`);
      return false;
    });
  }
  terminal.parser.registerOscHandler(52, (data) => answers.push(`OSC 52;${data}`) > 0);
  await new Promise<void>((resolve) => terminal.write(text, resolve));
  const { active } = terminal.buffer;
  const lines = Array.from({ length: terminal.rows }, (_, row) => active.getLine(row)?.translateToString(true) ?? '');
  const screen = JSON.stringify([active.type, active.cursorX, active.cursorY, terminal.modes, lines]);
  terminal.dispose();
  return { answers, screen };
}

const visible = (text: string): string => JSON.stringify(text).replaceAll(/[\u007f-\u009f]/g, (each) => `\\u00${each.charCodeAt(0).toString(16)}`);

const ST = '\x1b\\';
/** By what they ask for. */
const kQuestions: Record<string, string[]> = {
  'the cursor': ['\x1b[6n', '\x1b[?6n', '\x1b[06n', '\x1b[6;7n', '\x1b[6:1n'],
  'the state': ['\x1b[5n', '\x1b[0n', '\x1b[n', '\x1b[?15n', '\x1b[?996n'],
  'what it is': ['\x1b[c', '\x1b[0c', '\x1b[>c', '\x1b[>0c', '\x1b[=c', '\x1bZ', '\x05', '\x1b[>q', '\x1b[>0q', '\x1b[x', '\x1b[1x'],
  modes: ['\x1b[?1$p', '\x1b[4$p', '\x1b[?2026$p', '\x1b[?u', '\x1b[?4m', '\x1b[?1;1S'],
  'settings (DECRQSS)': ['m', '"p', '"q', 'r', ' q'].map((what) => `\x1bP$q${what}${ST}`),
  terminfo: [`\x1bP+q544e${ST}`],
  colours: [`\x1b]10;?\x07`, `\x1b]11;?${ST}`, `\x1b]12;?\x07`, `\x1b]4;1;?\x07`, `\x1b]4;1;red;2;?\x07`, `\x1b]10;red;?\x07`, `\x1b]21;foreground=?${ST}`],
  'the clipboard': ['\x1b]52;c;?\x07', '\x1b]52;c;aGVsbG8=\x07'],
  'the window': ['\x1b[14t', '\x1b[16t', '\x1b[18t', '\x1b[18;2t', '\x1b[21t'],
  'the locator, the screen': ["\x1b['|", '\x1b[1;1;1;1;1;1*y', '\x1b[1$w', '\x1b["v'],
  graphics: [`\x1b_Gi=1,a=q;AAAA${ST}`],
  'iTerm': ['\x1b]1337;ReportCellSize\x07'],
};
/** Other ways to write the same. */
const kForms: Record<string, (question: string) => string | Uint8Array | null> = {
  plain: (question) => question,
  'C1 in UTF-8': (question) => {
    const c1 = question.replaceAll(/\x1b([P[\]_Z\\])/g, (_, letter: string) => String.fromCharCode(letter.charCodeAt(0) + 0x40));
    return c1 === question ? null : c1;
  },
  'C1 as single bytes': (question) => Uint8Array.from(question.replaceAll(/\x1b([P[\]_Z\\])/g, (_, letter: string) => String.fromCharCode(letter.charCodeAt(0) + 0x40)), (each) => each.charCodeAt(0)),
  'a control inside': (question) => (question.length > 2 ? `${question.slice(0, 2)}\r${question.slice(2)}` : null),
  'a delete inside': (question) => (question.length > 2 ? `${question.slice(0, 2)}\x7f${question.slice(2)}` : null),
  'behind an escape': (question) => `\x1b${question}`,
  'behind a sequence without end': (question) => `\x1b[1;${question}`,
  'behind a string without end': (question) => `\x1b]2;title${question}`,
};

for (const [what, questions] of Object.entries(kQuestions)) {
  test(`no question remains: ${what}`, async () => {
    for (const question of questions) {
      for (const [form, write] of Object.entries(kForms)) {
        const written = write(question);
        if (written === null) continue;
        const cleaned = withoutQuestions(bytesOf(written));
        const name = `${JSON.stringify(latin(written))} (${form}) became ${JSON.stringify(latin(cleaned))}`;
        assert.deepEqual((await shown(cleaned)).answers, [], name);
        assert.doesNotMatch(latin(cleaned), /\?\x07|\?\x1b\\|[nctqxpuySm|wv]$|G|\x05|Z/, name);
      }
    }
  });
}

test('the judge answers, so that its silence means something', async () => {
  for (const question of ['\x1b[6n', '\x1b[?6n', '\x1b[5n', '\x1b[c', '\x1b[>c', '\x1b[4$p', '\x1b[?1$p', `\x1bP$qm${ST}`, '\x1b]10;?\x07', '\x1b]4;1;?\x07', '\x1b]52;c;?\x07',
    '\x1b[18t', '\u009b6n', '\u0090$qm\u009c', '\u009d10;?\u009c', '\x1b[6\nn', '\x1b[?1004h', '\x1b]10;?\x1b[m']) {
    assert.ok((await shown(bytesOf(question))).answers.length > 0, JSON.stringify(question));
  }
});

test('what is around a question remains', () => {
  assert.equal(clean('before\x1b[6nafter'), 'beforeafter');
  assert.equal(clean('\x1b[1mbold\x1b[5n\x1b[0m\x1b]10;?\x1b\\.\r\n'), '\x1b[1mbold\x1b[0m\x1b\\.\r\n');
  assert.equal(clean('a\x1b[\r\n6nb'), 'a\r\nb');
  assert.equal(clean(`x\x1bP$q\x07m${ST}y`), `x${ST}y`);
});

test('what asks nothing remains byte for byte', () => {
  for (const text of [
    '', 'plain text\r\n\t\b\x07\x0e\x0f', 'žluťoučký kůň — 日本語 🐧', '[6n ?6n ]10;?', 'ě6n', // the last letter ends with a byte 9b
    '\x1b[H\x1b[2J\x1b[?25l\x1b[38;5;196mred\x1b[38:2::1:2:3mtrue\x1b[m\x1b[?25h', '\x1b[?1049h\x1b[?2004h\x1b[1;24r\x1b[4 q\x1b[!p\x1b[?1004l',
    '\x1b]0;is this a title;?\x07', `\x1b]2;what?${ST}`, `\x1b]8;;https://example.org/?a=?${ST}link\x1b]8;;${ST}`, '\x1b]4;1;rgb:00/00/00\x07', '\x1b]104\x07',
    '\x1b7\x1b8\x1bM\x1b(0lqk\x1b(B\x1b#8\x1b=\x1b>\x1bc', '\x1b[8;24;80t\x1b[22;0t\x1b[23t', '\x1b[>4;2m\x1b[>4n\x1b[>1u\x1b[<u', `\x1bP0;1|17/17${ST}`, `\x1bPq#0;2;0;0;0~${ST}`,
    '\x1b[6\x18n', '\x1b[6\x1an', '\x1b]10;?\x18', `\x1b^private${ST}`, `\x1bXstring${ST}`, `\x1b_other${ST}`, '\x1b[6\u00e9n',
  ]) {
    assert.equal(clean(text), latin(text), JSON.stringify(text));
  }
  const every = Uint8Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => ![0x05, 0x1b, 0x9a].includes(byte) && !(byte >= 0x90 && byte < 0xa0));
  assert.equal(clean(every), latin(every));
});

test('what is not at its end when the text is stays: the machine sends the rest, and then it is its question', () => {
  for (const begun of ['\x1b', '\x1b[', '\x1b[6', '\x1b[?1004', '\x1b]10;?', '\x1bP$qm', '\x1b_G', '\x1b(', '\u009b6', '\xc2']) {
    assert.equal(clean(`text${begun}`), latin(`text${begun}`), JSON.stringify(begun));
  }
});

test('reports of the focus are on at the end if they were, and are asked for once', async () => {
  assert.equal(clean('\x1b[?1004hvim\x1b[?1004l$ '), 'vim\x1b[?1004l$ ');
  assert.equal(clean('\x1b[?1004hone\x1b[?1004htwo'), 'onetwo\x1b[?1004h');
  assert.equal(clean('\x1b[?1049;1004;2004h.'), '\x1b[?1049;2004h.\x1b[?1004h');
  assert.equal(clean('\x1b[?1004h\x1bc'), '\x1bc');
  assert.equal(clean('\x1b[?1004h\x1b[!p'), '\x1b[!p');
  assert.equal(clean('\x1b[?1004h\x1b[6'), '\x1b[?1004h\x1b[6');
  const { answers } = await shown(withoutQuestions(bytesOf('\x1b[?1004h1\x1b[?1004l2\x1b[?1004h3\x1b[?1004l4')));
  assert.deepEqual(answers, []);
});

/** The same numbers each time. */
function random(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor((x / 0x1_0000_0000) * below);
  };
}

const kPieces = ['\x1b', '[', ']', 'P', 'Z', '\\', '?', '>', '=', '$', '!', '"', ' ', ';', ':', '0', '1', '2', '4', '5', '6', '8', '10', '11', '18', '25', '52', '1004', '1049',
  'n', 'c', 'p', 'q', 'm', 'h', 'l', 'r', 'H', 'J', 'K', 't', 'x', '\x07', '\r', '\n', '\x05', '\x18', '\x1a', '\x7f', '\b', '\u009b', '\u009d', '\u0090', '\u009c', '\u009a', '\u0085', '\u0098',
  'a', 'é', '日', '🐧', '\x1b[', '\x1b]', '\x1bP', '\x1b\\', '\x1b[6n', '\x1b]10;?\x07', '\x1bP$qm\x1b\\', '\x1b[?1004h', '\x1b[?1004l'];

test('thousands of random texts: the terminal says nothing, and shows what it shows of the text as it came', { timeout: 120_000 }, async () => {
  let asked = 0;
  for (let seed = 1; seed <= 3000; seed++) {
    const below = random(seed);
    // The last piece ends what has begun: the end of a text is another test's.
    const text = `${Array.from({ length: 1 + below(30) }, () => kPieces[below(kPieces.length)]).join('')}\x18.`;
    const [raw, cleaned] = await Promise.all([shown(bytesOf(text)), shown(withoutQuestions(bytesOf(text)))]);
    const on = cleaned.answers.length === 1 && /\x1b\[[IO]/.test(cleaned.answers[0] ?? ''); // reports of the focus are on in the end
    if (!on) assert.deepEqual(cleaned.answers, [], `seed ${seed}: ${visible(text)}`);
    assert.equal(cleaned.screen, raw.screen, `seed ${seed}: ${visible(text)} became ${visible(Buffer.from(withoutQuestions(bytesOf(text))).toString())}`);
    asked += raw.answers.length;
  }
  assert.ok(asked > 1000, `only ${asked} questions in all of them`);
});

test('the notes of a snapshot are cleaned when they are read', () => {
  assert.equal(latin(readNotes(writeNotes(bytesOf('$ \x1b[6n\u009bc\x1b]11;?\x07ls\r\n')))), '$ ls\r\n');
});
