// SPDX-License-Identifier: Apache-2.0
// embed.html: a machine and its terminal in a frame, for a page of this or another origin to talk to (protocol.ts). Opened
// by itself it is a terminal like any other.
import { MachineError, type BootOptions, type Machine } from '../api/index.ts';
import { describeExit } from '../shared/explain.ts';
import { element, showText } from '../shared/elements.ts';
import { startMachine } from '../shared/start-machine.ts';
import type { TerminalView } from '../shared/terminal-view.ts';
import { Theme } from '../shared/theme.ts';
import { readSettings, type Settings } from '../shared/url-settings.ts';
import { EmbedChannel, readOrigins, type EmbedState, type FromEmbed, type ToEmbed } from './protocol.ts';

class Embed {
  private readonly channel: EmbedChannel | null = null;
  private readonly settings: Settings | null = null;
  private readonly decoder = new TextDecoder();
  private machine: Machine | null = null;
  private view: TerminalView | null = null;
  private state: EmbedState = 'loading';

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
    const { boot, cold } = this.settings;
    const started = this.start(boot, cold);
    const theme = new Theme(this.settings.theme, (dark) => this.view?.setDark(dark));
    const screenReader = this.settings.screenReader ?? false;
    void started.then(() => this.openTerminal(theme, screenReader)); // see page/main.ts
    element('restart').addEventListener('click', () => void this.start(boot, cold));
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
    this.show(message, false);
    this.send({ type: 'error', code, message });
    this.setState('failed');
  }

  private show(text: string, canRestart: boolean): void {
    showText('message-text', text);
    element('restart').hidden = !canRestart;
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
        if (this.settings !== null && this.state !== 'loading' && this.machine === null) void this.start(this.settings.boot, this.settings.cold);
        break;
    }
  }

  private async start(options: BootOptions, cold: boolean): Promise<void> {
    element('message').hidden = true;
    this.setState('loading');
    let machine: Machine;
    try {
      machine = await startMachine(options, cold);
    } catch (error) {
      this.fail(error instanceof MachineError ? error.code : 'core-failed', error instanceof Error ? error.message : String(error));
      return;
    }
    this.machine = machine;
    machine.onerror = (error) => this.fail(error.code, error.message);
    if (this.view !== null) this.connect(machine, this.view);
    this.setState('running');
    void this.watch(machine, options);
  }

  private async watch(machine: Machine, options: BootOptions): Promise<void> {
    const exit = await machine.exited;
    this.machine = null;
    if (exit.reason === 'failed' || exit.reason === 'terminated') return;
    this.setState(exit.reason, exit.code);
    if (exit.reason === 'reboot') void this.start(options, true);
    else this.show(describeExit(exit), true);
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
