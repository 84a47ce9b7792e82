// SPDX-License-Identifier: Apache-2.0
// The messages between embed.html and the page around it, version 1; docs/embedding.md describes them for embedders.
// Everything that arrives is checked: the sender's window and origin, then each field.

import type { SnapshotInput } from '../api/options.ts';

export const kProtocolVersion = 1;
const kMaxInput = 1 << 20; // characters in one message
const kMaxSize = 4096;

export type EmbedState = 'loading' | 'running' | 'poweroff' | 'reboot' | 'crashed' | 'exited' | 'failed';

/** From the frame. */
export type FromEmbed =
  | { type: 'ready'; state: EmbedState; columns: number; rows: number }
  | { type: 'output'; text: string }
  | { type: 'state'; state: EmbedState; code?: number }
  | { type: 'resize'; columns: number; rows: number }
  /** Something that a person should know, and that nothing else follows from. */
  | { type: 'notice'; message: string }
  /** The answer to `save`. */
  | { type: 'saved'; snapshot: Blob }
  | { type: 'error'; code: string; message: string };

/** To the frame. */
export type ToEmbed =
  /** Asks for a `ready`. */
  | { type: 'ready' }
  | { type: 'input'; text: string }
  /** A grid of this size; null for both: as large as the frame again. */
  | { type: 'resize'; columns: number | null; rows: number | null }
  /** 'running' starts a machine that has ended anew. */
  | { type: 'state'; state: 'running' }
  | { type: 'save' }
  /** A machine of `saved`, or the address of one, instead of the one that runs. */
  | { type: 'restore'; snapshot: SnapshotInput };

export class ProtocolError extends Error {}

/**
 * The origins that may talk to the frame: those of ?origins=, separated by commas or spaces, else the frame's own.
 * Throws ProtocolError for what is no origin; "*" is none.
 */
export function readOrigins(query: URLSearchParams, own: string): string[] {
  const text = query.get('origins')?.trim() ?? '';
  if (text === '') return [own];
  const origins = text.split(/[\s,]+/).filter((each) => each !== '').map((each) => {
    let url: URL | null = null;
    try {
      url = new URL(each);
    } catch {
      // said below
    }
    // An opaque origin has no name that could be checked.
    if (url === null || url.origin === 'null' || (url.protocol !== 'https:' && url.protocol !== 'http:')
      || url.hostname.includes('*') || (each !== url.origin && each !== `${url.origin}/`)) {
      throw new ProtocolError(`origins: "${each.slice(0, 80)}" is not an origin such as https://example.org`);
    }
    return url.origin;
  });
  return [...new Set(origins)];
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= kMaxSize;
}

function isSnapshot(value: unknown): value is SnapshotInput {
  return value instanceof Blob || value instanceof ArrayBuffer || value instanceof Uint8Array || (typeof value === 'string' && value !== '');
}

/** What `data` says to the frame; null: it is not for us at all. Throws ProtocolError when it is, and wrong. */
export function readMessage(data: unknown): ToEmbed | null {
  if (typeof data !== 'object' || data === null || !('hartwood' in data)) return null;
  const message = data as Record<string, unknown>;
  if (message['hartwood'] !== kProtocolVersion) {
    throw new ProtocolError(`version ${String(message['hartwood']).slice(0, 20)} is not known here; this frame speaks version ${kProtocolVersion}`);
  }
  const { type } = message;
  switch (type) {
    case 'ready':
    case 'save':
      return { type };
    case 'restore': {
      const { snapshot } = message;
      if (!isSnapshot(snapshot)) {
        throw new ProtocolError('restore: "snapshot" must be a Blob, an ArrayBuffer, a Uint8Array or an address');
      }
      return { type, snapshot };
    }
    case 'input': {
      const { text } = message;
      if (typeof text !== 'string' || text.length > kMaxInput) {
        throw new ProtocolError(`input: "text" must be a string of at most ${kMaxInput} characters`);
      }
      return { type, text };
    }
    case 'resize': {
      const { columns, rows } = message;
      if (columns === null && rows === null) return { type, columns, rows };
      if (!isSize(columns) || !isSize(rows)) {
        throw new ProtocolError(`resize: "columns" and "rows" must be whole numbers from 1 to ${kMaxSize}, or both null`);
      }
      return { type, columns, rows };
    }
    case 'state':
      if (message['state'] !== 'running') throw new ProtocolError('state: the only state that can be asked for is "running"');
      return { type, state: 'running' };
    default:
      throw new ProtocolError(`there is no message type "${String(type).slice(0, 40)}"`);
  }
}

/** A window, as far as the protocol needs one. */
export interface Peer {
  postMessage(message: unknown, targetOrigin: string): void;
}

/**
 * The frame's end. Sends only to allowed origins: until the surrounding page has spoken, to each of them (the browser
 * delivers to the one that it is, if it is one of them), afterwards to that one.
 */
export class EmbedChannel {
  private readonly peer: Peer;
  private readonly origins: readonly string[];
  private readonly handle: (message: ToEmbed) => void;
  private partner: string | null;

  /** `known`: the surrounding page's origin where the browser tells it. */
  constructor(peer: Peer, origins: readonly string[], known: string | null, handle: (message: ToEmbed) => void) {
    this.peer = peer;
    this.origins = known === null ? origins : origins.filter((origin) => origin === known);
    this.partner = null;
    this.handle = handle;
  }

  send(message: FromEmbed): void {
    const targets = this.partner === null ? this.origins : [this.partner];
    for (const origin of targets) this.peer.postMessage({ hartwood: kProtocolVersion, ...message }, origin);
  }

  receive(event: { source: unknown; origin: string; data: unknown }): void {
    if (event.source !== this.peer || !this.origins.includes(event.origin)) return;
    try {
      const message = readMessage(event.data);
      if (message === null) return;
      this.partner = event.origin;
      this.handle(message);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.partner = event.origin;
      this.send({ type: 'error', code: 'protocol', message: error.message });
    }
  }
}
