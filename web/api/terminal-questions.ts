// SPDX-License-Identifier: Apache-2.0
// Takes out of a terminal's text what a terminal answers: where its cursor is, what it is, what its colours are. For text that
// is shown a second time: the program that asked has had its answer, and a second one would be typed at whatever runs now.
//
// A terminal reads its input as ECMA-48 has it, with the states of a VT500: controls inside of a sequence are executed before
// it, and every sequence may begin with ESC or be one of the C1 controls, which are two bytes in UTF-8. What is not sure to be
// no question goes. Sequences that are not at their end when the text is stay: the rest comes from the machine, and so it is
// the machine that asks.
//
// Gone too: what sets the clipboard, for it was set then; and modes that report at once when they are set, such as that of the
// focus. One that is on at the end is set there, once.

const kEnquiry = 0x05;
const kBell = 0x07;
const kCancel = 0x18;
const kSubstitute = 0x1a;
const kEscape = 0x1b;
const kDelete = 0x7f;
/** C1 controls, and the letters behind ESC that mean the same. */
const kDcs = 0x90;
const kSos = 0x98;
const kIdentify = 0x9a; // DECID
const kCsi = 0x9b;
const kSt = 0x9c;
const kOsc = 0x9d;
const kPm = 0x9e;
const kApc = 0x9f;

type State = 'text' | 'escape' | typeof kCsi | typeof kOsc | typeof kDcs | typeof kSos | typeof kPm | typeof kApc;

/** Modes that a terminal reports about when they are set: focus, size. */
const kReporting: readonly number[] = [1004, 2048];

export function withoutQuestions(text: Uint8Array): Uint8Array<ArrayBuffer> {
  const cleaner = new Cleaner();
  for (let at = 0; at < text.length;) {
    const size = characterSize(text, at);
    const first = text[at] as number;
    const isControl1 = size === 2 && first === 0xc2 && (text[at + 1] as number) < 0xa0;
    const code = isControl1 ? (text[at + 1] as number) : size === 1 ? first : Infinity;
    cleaner.take(code, text.subarray(at, at + size));
    at += size;
  }
  return cleaner.finish();
}

/** Bytes of the character at `at`; 1 for what is not UTF-8. */
function characterSize(text: Uint8Array, at: number): number {
  const first = text[at] as number;
  const size = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 1;
  for (let i = 1; i < size; i++) if (((text[at + i] ?? 0) & 0xc0) !== 0x80) return 1;
  return size;
}

class Cleaner {
  private readonly out: number[] = [];
  private state: State = 'text';
  /** The sequence so far, as it came. */
  private held: number[] = [];
  /** What is in it behind its beginning, without controls. */
  private body = '';
  /** A string that ESC has ended, until it is known what follows: a terminator, or something that may go. */
  private string: number[] = [];
  private readonly reporting = new Set<number>();

  /** `code`: of ASCII or C1; larger, of any other character. `bytes`: the same as it came. */
  take(code: number, bytes: Uint8Array): void {
    if (code === kEnquiry) return;
    if (code >= 0x80 && code < 0xa0) this.control1(code, bytes);
    else if (code === kEscape) this.beginEscape(bytes);
    else if (code === kCancel || code === kSubstitute) this.leaveWith(bytes);
    else if (this.state === 'text') this.out.push(...bytes);
    else if (code > kDelete && this.isAscii()) this.leaveWith(bytes);
    else if (this.state === 'escape') this.inEscape(code, bytes);
    else if (this.state === kCsi) this.inCsi(code, bytes);
    else if (this.state === kOsc && code === kBell) this.endString(bytes);
    else this.hold(code >= 0x20 && code !== kDelete ? code : null, bytes);
  }

  finish(): Uint8Array<ArrayBuffer> {
    if (this.reporting.size > 0) this.out.push(...ascii([...this.reporting].map((mode) => `\x1b[?${mode}h`).join('')));
    this.out.push(...this.string, ...this.held);
    return Uint8Array.from(this.out);
  }

  /** Another character ends what is held; but OSC may have any, and DCS behind its beginning. */
  private isAscii(): boolean {
    return this.state === kDcs ? /^[<=>?]?[0-9;:]*[ -/]*$/.test(this.body) : this.state !== kOsc;
  }

  private hold(code: number | null, bytes: Uint8Array): void {
    this.held.push(...bytes);
    if (code !== null) this.body += code < 0x80 ? String.fromCharCode(code) : '\u00a0';
  }

  /** A sequence that something else interrupts has no effect. */
  private begin(state: State, bytes: Uint8Array): void {
    this.leave(false);
    this.state = state;
    this.held.push(...bytes);
  }

  private beginEscape(bytes: Uint8Array): void {
    const ends = this.state !== 'text' && this.state !== 'escape' && this.state !== kCsi;
    const string = ends && !isStringQuestion(this.state, this.body) ? this.held : [];
    this.begin('escape', bytes);
    this.string = string;
  }

  private control1(code: number, bytes: Uint8Array): void {
    switch (code) {
      case kCsi: case kOsc: case kDcs: case kSos: case kPm: case kApc:
        this.begin(code, bytes);
        break;
      case kIdentify:
        this.leave(false);
        break;
      case kSt:
        this.endString(bytes);
        break;
      default:
        this.leave(false);
        this.out.push(...bytes);
    }
  }

  private inEscape(code: number, bytes: Uint8Array): void {
    if (code < 0x20) {
      this.out.push(...bytes);
    } else if (code !== kDelete) {
      this.hold(code, bytes);
      if (code >= 0x30) this.endEscape(this.body);
    }
  }

  private endEscape(body: string): void {
    if (body !== '\\' && this.string.length > 0) this.string.push(...ascii('\x1b\\'));
    this.out.push(...this.string);
    this.string = [];
    const opened = ({ '[': kCsi, ']': kOsc, P: kDcs, X: kSos, '^': kPm, _: kApc } as Record<string, State>)[body];
    if (opened !== undefined) {
      this.state = opened;
      this.body = '';
      return;
    }
    if (body === 'c') this.reporting.clear();
    this.leave(body !== 'Z');
  }

  private inCsi(code: number, bytes: Uint8Array): void {
    if (code < 0x20) this.out.push(...bytes); // executed before the sequence
    else if (code !== kDelete) {
      this.hold(code, bytes);
      if (code >= 0x40) this.endCsi(this.body);
    }
  }

  private endCsi(body: string): void {
    const [, prefix = '', numbers = '', rest = ''] = /^([<=>?]?)([0-9:;]*)(.*)$/s.exec(body) ?? [];
    const modes = numbers.split(';').map((each) => parseInt(each, 10));
    if (prefix === '?' && rest === 'h' && modes.some((mode) => kReporting.includes(mode))) {
      for (const mode of modes) if (kReporting.includes(mode)) this.reporting.add(mode);
      const others = modes.filter((mode) => !kReporting.includes(mode));
      this.held = others.length === 0 ? [] : [...ascii(`\x1b[?${others.map((mode) => mode || '').join(';')}h`)];
    }
    if (prefix === '?' && rest === 'l') for (const mode of modes) this.reporting.delete(mode);
    if (rest === '!p') this.reporting.clear();
    this.leave(!isCsiQuestion(prefix, modes[0] ?? NaN, rest));
  }

  /** `bytes`: a terminator. */
  private endString(bytes: Uint8Array): void {
    const string = this.state !== 'escape' && this.state !== kCsi;
    if (string && !isStringQuestion(this.state, this.body)) this.leaveWith(bytes);
    else this.leave(false);
  }

  /** The end of a sequence that is no question. */
  private leaveWith(bytes: Uint8Array): void {
    this.held.push(...bytes);
    this.leave(true);
  }

  private leave(keep: boolean): void {
    // Of a string without a terminator nothing is left but what it did.
    if (this.string.length > 0) this.out.push(...this.string, ...ascii('\x1b\\'));
    if (keep) this.out.push(...this.held);
    this.string = [];
    this.held = [];
    this.body = '';
    this.state = 'text';
  }
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `rest`: intermediate characters and the final one. */
function isCsiQuestion(prefix: string, first: number, rest: string): boolean {
  switch (rest) {
    case 'c': // device attributes: primary, secondary, tertiary
      return true;
    case 'n': // device status, the cursor's place; with > a setting of xterm's
      return prefix !== '>';
    case 't': // the window's place, size, title; others set them
      return prefix === '' && [11, 13, 14, 15, 16, 18, 19, 20, 21].includes(first);
    case 'x': // the line's speed
      return prefix === '';
    case 'q': // the terminal's version
      return prefix === '>';
    case 'u': // kitty's keyboard
    case 'm': // xterm's keyboard
    case 'S': // sizes of graphics
      return prefix === '?';
    case '$p': // is a mode set
    case '$w': case '$u': case '&u': case '"v': // presentation, state, character sets, extent of the display
    case '*y': // a checksum of the screen
    case "'|": // the locator's place
      return true;
    default:
      return false;
  }
}

const kTexts: readonly string[] = ['0', '1', '2', '7', '8', '9', '777']; // titles, links, messages: may have anything in them

function isStringQuestion(state: State, body: string): boolean {
  switch (state) {
    case kDcs: // settings, terminfo
      return /^[0-9;:]*[$+]q/.test(body);
    case kApc: // kitty's graphics
      return body.startsWith('G');
    case kOsc: {
      const [number = '', ...fields] = body.split(';');
      if (kTexts.includes(number)) return false;
      // The clipboard is read, or set again; iTerm's reports; colours, fonts, pointers.
      return number === '52' || (number === '1337' && /^(Report|Request|Capabilities)/.test(fields[0] ?? ''))
        || fields.some((field) => field.startsWith('?') || field.endsWith('=?'));
    }
    default:
      return false;
  }
}
