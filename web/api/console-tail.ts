// SPDX-License-Identifier: Apache-2.0
// What a console printed last, kept with a snapshot so that the terminal of a restored machine does not begin empty.
import { withoutQuestions } from './terminal-questions.ts';

const kKept = 64 * 1024; // bytes

export class ConsoleTail {
  private pieces: Uint8Array[] = [];
  private size = 0;

  append(bytes: Uint8Array): void {
    this.pieces.push(bytes.slice());
    this.size += bytes.length;
    while (this.size - (this.pieces[0]?.length ?? 0) >= kKept) this.size -= this.pieces.shift()?.length ?? 0;
  }

  bytes(): Uint8Array {
    const whole = new Uint8Array(this.size);
    let at = 0;
    for (const piece of this.pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole.subarray(Math.max(0, whole.length - kKept));
  }
}

/** What a snapshot's notes hold, as text. */
export function writeNotes(tail: Uint8Array): string {
  let binary = '';
  for (const byte of tail) binary += String.fromCharCode(byte);
  return JSON.stringify({ console: btoa(binary) });
}

/** The console's last bytes, without what a terminal would answer; none where the notes have none, as those of snapshots from the command line. */
export function readNotes(notes: string): Uint8Array {
  try {
    const { console: text } = JSON.parse(notes === '' ? '{}' : notes) as { console?: unknown };
    if (typeof text !== 'string') return new Uint8Array();
    return withoutQuestions(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)));
  } catch {
    return new Uint8Array();
  }
}
