// SPDX-License-Identifier: Apache-2.0
// embed.html: a machine and its terminal in a frame, for a page of this or another origin to talk to (protocol.ts). Opened
// by itself it is a terminal like any other.
import { Machine as Machines, MachineError, type CommonOptions, type Machine, type SnapshotInput } from '../api/index.ts';
import { describeExit } from '../shared/explain.ts';
import { element, showText } from '../shared/elements.ts';
import { replaceMachine } from '../shared/replace-machine.ts';
import { StorageError } from '../shared/saved-machines.ts';
import { savedSource } from '../shared/saved-source.ts';
import { startMachine } from '../shared/start-machine.ts';
import type { TerminalView } from '../shared/terminal-view.ts';
import { Theme } from '../shared/theme.ts';
import { describeIgnored, readSettings, type Settings } from '../shared/url-settings.ts';
import { EmbedChannel, readOrigins, type EmbedState, type FromEmbed, type ToEmbed } from './protocol.ts';

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error);

function codeOf(error: unknown): string {
  if (error instanceof StorageError) return 'bad-option';
  return error instanceof MachineError ? error.code : 'core-failed';
}

class Embed {
  private readonly channel: EmbedChannel | null = null;
  private readonly settings: Settings | null = null;
  private readonly decoder = new TextDecoder();
  private machine: Machine | null = null;
  private view: TerminalView | null = null;
  private state: EmbedState = 'loading';
  private startAgain: (() => Promise<void>) | null = null;

  constructor() {
    const query = new URLSearchParams(location.search);
    try {
      if (window.parent !== window) {
        const known = location.ancestorOrigins?.[0] ?? null;
        const channel = new EmbedChannel(window.parent, readOrigins(query, location.origin), known, (message) => this.obey(message));
        window.addEventListener('message', (event) => channel.receive(event));
        this.channel = channel;
      }
      this.settings = readSettings(query);
    } catch (error) {
      this.fail('bad-option', error instanceof Error ? error.message : String(error));
      return;
    }
    const started = this.startFirst(this.settings);
    const theme = new Theme(this.settings.theme, (dark) => this.view?.setDark(dark));
    const screenReader = this.settings.screenReader ?? false;
    void started.then(() => this.openTerminal(theme, screenReader)); // see page/main.ts
    element('restart').addEventListener('click', () => {
      if (this.state !== 'loading') void this.startAgain?.();
    });
    element('close').addEventListener('click', () => {
      element('message').hidden = true;
      this.view?.focus();
    });
    element<HTMLAnchorElement>('out').addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.view?.focus();
    });
  }

  private send(message: FromEmbed): void {
    this.channel?.send(message);
  }

  private announceReady(): void {
    const { columns, rows } = this.view ?? { columns: 80, rows: 24 };
    this.send({ type: 'ready', state: this.state, columns, rows });
  }

  private setState(state: EmbedState, code?: number): void {
    this.state = state;
    this.send({ type: 'state', state, ...(code === undefined ? {} : { code }) });
  }

  private fail(code: string, message: string): void {
    this.show(message, 'nothing');
    this.send({ type: 'error', code, message });
    this.setState('failed');
  }

  /** `offer`: what a person can do then. */
  private show(text: string, offer: 'restart' | 'close' | 'nothing'): void {
    showText('message-text', text);
    element('restart').hidden = offer !== 'restart';
    element('close').hidden = offer !== 'close';
    element('message').hidden = false;
  }

  private obey(message: ToEmbed): void {
    switch (message.type) {
      case 'ready':
        this.announceReady();
        break;
      case 'input':
        this.machine?.console.write(message.text);
        break;
      case 'resize':
        this.view?.setFixedSize(
          message.columns === null || message.rows === null ? null : { columns: message.columns, rows: message.rows });
        break;
      case 'state':
        if (this.state !== 'loading' && this.machine === null) void this.startAgain?.();
        break;
      case 'save':
        void this.attempt(() => this.save());
        break;
      case 'restore':
        void this.attempt(() => this.replace(message.snapshot));
        break;
    }
  }

  /** What fails here leaves the machine as it is. */
  private async attempt(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.send({ type: 'error', code: codeOf(error), message: messageOf(error) });
    }
  }

  private async save(): Promise<void> {
    if (this.machine === null) throw new MachineError('ended', 'No machine runs that could be saved.');
    this.send({ type: 'saved', snapshot: await this.machine.snapshot() });
  }

  private async replace(snapshot: SnapshotInput): Promise<void> {
    if (this.state === 'loading') throw new MachineError('not-loaded', 'The machine is being started; wait until it runs.');
    const before = this.state;
    this.setState('loading');
    let machine: Machine;
    try {
      machine = await replaceMachine(this.machine, snapshot, this.common());
    } catch (error) {
      this.setState(before);
      throw error;
    }
    const replaced = this.machine;
    this.machine = machine;
    replaced?.terminate();
    element('message').hidden = true;
    await this.view?.write('\x1bc');
    this.carry(machine, true);
  }

  /** The machine that the address asks for. */
  private async startFirst(settings: Settings): Promise<void> {
    const { boot, cold, restore } = settings;
    if (restore === null) {
      this.startAgain = () => this.run((common) => startMachine({ ...boot, ...common }, cold), false);
      await this.startAgain();
      return;
    }
    const ignored = describeIgnored(settings);
    this.startAgain = () => this.run(async (common) => Machines.restore(await savedSource(restore), common), true);
    await this.startAgain();
    if (ignored === null || this.machine === null) return;
    this.show(ignored, 'close');
    this.send({ type: 'notice', message: ignored });
  }

  /** What all machines of this frame have in common. */
  private common(): CommonOptions {
    const compiler = this.settings?.boot.compiler;
    return compiler === undefined ? {} : { compiler };
  }

  /** `itself`: it was not made by what the address says, so only it knows how to start it again. */
  private async run(start: (common: CommonOptions) => Promise<Machine>, itself: boolean): Promise<void> {
    element('message').hidden = true;
    this.setState('loading');
    try {
      this.machine = await start(this.common());
    } catch (error) {
      this.fail(codeOf(error), messageOf(error));
      return;
    }
    this.carry(this.machine, itself);
  }

  private carry(machine: Machine, itself: boolean): void {
    machine.onerror = (error) => this.fail(error.code, error.message);
    if (this.view !== null) this.connect(machine, this.view);
    this.setState('running');
    void this.watch(machine, itself);
  }

  private async watch(machine: Machine, itself: boolean): Promise<void> {
    const exit = await machine.exited;
    if (this.machine !== machine) return; // another has taken its place
    this.machine = null;
    if (exit.reason === 'failed' || exit.reason === 'terminated') return;
    const again = (): Promise<void> => this.run((common) => machine.reboot(common), itself);
    if (itself) this.startAgain = again;
    this.setState(exit.reason, exit.code);
    if (exit.reason === 'reboot') void again();
    else this.show(describeExit(exit), 'restart');
  }

  private connect(machine: Machine, view: TerminalView): void {
    machine.console.onData((bytes) => {
      const text = this.decoder.decode(bytes, { stream: true });
      if (text !== '') this.send({ type: 'output', text });
      return view.write(bytes);
    });
    machine.resize(view.columns, view.rows);
  }

  private async openTerminal(theme: Theme, screenReader: boolean): Promise<void> {
    const { TerminalView } = await import('../shared/terminal-view.ts');
    const view = new TerminalView({
      container: element('terminal'),
      dark: theme.dark,
      screenReader,
      onInput: (data) => this.machine?.console.write(data),
      onResize: (columns, rows) => {
        this.machine?.resize(columns, rows);
        this.send({ type: 'resize', columns, rows });
      },
      onLeave: () => element('out').focus(),
    });
    this.view = view;
    if (this.machine !== null) this.connect(this.machine, view);
    if (window.parent === window) view.focus(); // never takes the focus from a page around it
    this.announceReady();
  }
}

new Embed();
