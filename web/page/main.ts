// SPDX-License-Identifier: Apache-2.0
// index.html: one machine and its terminal. The machine starts first, then everything else.
import { Machine as Machines, MachineError, type BootOptions, type BootProgress, type CommonOptions, type Machine } from '../api/index.ts';
import { describeExit, explain } from '../shared/explain.ts';
import { element, showText } from '../shared/elements.ts';
import { replaceMachine } from '../shared/replace-machine.ts';
import { StorageError } from '../shared/saved-machines.ts';
import { savedSource } from '../shared/saved-source.ts';
import { startMachine } from '../shared/start-machine.ts';
import type { TerminalView } from '../shared/terminal-view.ts';
import { Theme, recall, remember } from '../shared/theme.ts';
import { describeIgnored, readSettings, SettingsError, type Settings } from '../shared/url-settings.ts';
import { BootView } from './boot-view.ts';
import { connectKeyBar } from './key-bar.ts';
import { MachinesPanel } from './machines-panel.ts';
import { SettingsPanel } from './settings-panel.ts';
import { formatMemory, StatusLine, type ShownState } from './status-line.ts';

const kScreenReaderKey = 'hartwood.screenreader';
const kThemeNames = { auto: 'Auto', light: 'Light', dark: 'Dark' } as const;

class Page {
  private readonly boot = new BootView();
  private readonly status = new StatusLine();
  private readonly bootOptions: BootOptions | null;
  private readonly cold: boolean;
  private readonly machines: MachinesPanel;
  machine: Machine | null = null;
  /** Ends a start that is under way. */
  private starting: AbortController | null = null;
  /** What the button does that starts a machine which has ended. */
  private startAgain = (): Promise<void> => this.start('Starting', this.bootOptions ?? {}, this.cold);
  private view: TerminalView | null = null;

  constructor(settings: Settings | null) {
    this.bootOptions = settings?.boot ?? null;
    this.cold = settings?.cold ?? false;
    this.machines = new MachinesPanel({
      running: () => this.machine !== null,
      snapshot: () => this.machine?.snapshot() ?? null,
      replace: (blob, options) => this.replace(blob, options),
    });
    const started = this.startFirst(settings);
    const theme = new Theme(settings?.theme ?? null, (dark) => {
      this.view?.setDark(dark);
      this.nameTheme(theme);
    });
    this.nameTheme(theme);
    element('theme').addEventListener('click', () => theme.advance());
    const screenReader = settings?.screenReader ?? recall(kScreenReaderKey) === '1';
    // The terminal's script keeps this thread busy for a while, which would hold up the messages that start the harts;
    // so it runs while the kernel does.
    void started.then(() => this.openTerminal(theme, screenReader));
    this.connectPanels(screenReader);
    connectKeyBar(() => this.view);
  }

  /** The machine that the address asks for. */
  private async startFirst(settings: Settings | null): Promise<void> {
    if (settings === null) return;
    const { boot, cold, restore } = settings;
    if (restore === null) {
      await this.start('Starting', boot, cold);
      return;
    }
    await this.run('Restoring', async (options) => Machines.restore(await savedSource(restore), options), true);
    const ignored = describeIgnored(settings);
    if (ignored === null || this.machine === null) return;
    const { harts, memory } = this.machine;
    showText('hint-text', `${ignored} This one has ${harts} ${harts === 1 ? 'processor' : 'processors'} and ${formatMemory(memory)}.`);
    element('hint').hidden = false;
  }

  /** A saved machine takes the place of the one that runs, which goes on if this rejects. */
  private async replace(saved: Blob, options: { onProgress: (progress: BootProgress) => void; signal: AbortSignal }): Promise<void> {
    const old = this.machine;
    const state = element('state').dataset['state'] as ShownState;
    if (old !== null) this.status.setState('paused');
    let machine: Machine;
    try {
      machine = await replaceMachine(old, saved, { ...this.common(), ...options });
    } catch (error) {
      if (old !== null && this.machine === old) this.status.setState(state);
      throw error;
    }
    this.starting?.abort();
    const replaced = this.machine; // perhaps one that has started meanwhile
    this.machine = machine;
    replaced?.terminate();
    await this.view?.write('\x1bc');
    this.show(machine, true);
  }

  private start(title: string, options: BootOptions, cold: boolean): Promise<void> {
    return this.run(title, (common) => startMachine({ ...options, ...common }, cold), false);
  }

  /** What all machines of this page have in common. */
  private common(): CommonOptions {
    const compiler = this.bootOptions?.compiler;
    return {
      ...(compiler === undefined ? {} : { compiler }),
      ...(this.view === null ? {} : { size: { columns: this.view.columns, rows: this.view.rows } }),
      onLog: (level, text) => (level === 0 ? console.error : console.debug)(`hartwood: ${text}`),
    };
  }

  /**
   * Starts a machine, whose console is then carried until it ends; resolves when it runs, or failed to. `itself`: it was not
   * made by what the address says, so only it knows how to start it again.
   */
  private async run(title: string, start: (common: CommonOptions) => Promise<Machine>, itself: boolean): Promise<void> {
    element('failure').hidden = true;
    element('notice').hidden = true;
    this.boot.show(title);
    this.status.setState('loading');
    const starting = new AbortController();
    this.starting = starting;
    let machine: Machine;
    try {
      machine = await start({
        ...this.common(), signal: starting.signal, onProgress: (progress) => this.boot.progress(progress),
      });
    } catch (error) {
      if (!starting.signal.aborted) this.showFailure(error);
      return;
    }
    if (starting.signal.aborted) { // when it had just begun to run
      machine.terminate();
      return;
    }
    this.starting = null;
    this.machine = machine;
    this.show(machine, itself);
  }

  /** Whatever was shown: this machine is. */
  private show(machine: Machine, itself: boolean): void {
    machine.onerror = (error) => this.showFailure(error);
    for (const id of ['failure', 'notice', 'hint']) element(id).hidden = true;
    this.boot.hide();
    this.status.setState('running');
    this.showPaused(false);
    element('pause').hidden = false;
    this.status.show(machine);
    this.announce('The machine runs.');
    if (this.view !== null) this.connect(machine, this.view);
    void this.watch(machine, itself);
  }

  private async watch(machine: Machine, itself: boolean): Promise<void> {
    const exit = await machine.exited;
    if (this.machine !== machine) return; // another has taken its place
    this.status.show(null);
    element('pause').hidden = true;
    this.machine = null;
    const again = (title: string): Promise<void> => this.run(title, (common) => machine.reboot(common), itself);
    if (exit.reason === 'reboot') {
      await this.view?.write('\r\n');
      void again('Restarting');
    } else if (exit.reason !== 'failed') {
      this.startAgain = itself ? () => again('Starting') : () => this.start('Starting', this.bootOptions ?? {}, this.cold);
      this.status.setState(exit.reason === 'crashed' ? 'failed' : 'off');
      showText('notice-text', describeExit(exit));
      element('notice').hidden = false;
      this.announce(describeExit(exit));
    }
  }

  private async togglePause(): Promise<void> {
    const { machine } = this;
    if (machine === null) return;
    const pausing = machine.state === 'running';
    try {
      await (pausing ? machine.pause() : machine.resume());
    } catch {
      return; // it has ended meanwhile, which is shown
    }
    this.status.setState(pausing ? 'paused' : 'running');
    this.showPaused(pausing);
    this.announce(pausing ? 'The machine is paused.' : 'The machine runs.');
    if (!pausing) this.view?.focus();
  }

  private showPaused(paused: boolean): void {
    element('pause').setAttribute('aria-pressed', String(paused));
    showText('pause-name', paused ? 'Resume' : 'Pause');
  }

  private connect(machine: Machine, view: TerminalView): void {
    machine.console.onData((bytes) => view.write(bytes));
    machine.resize(view.columns, view.rows);
    view.focus();
  }

  private async openTerminal(theme: Theme, screenReader: boolean): Promise<void> {
    const { TerminalView } = await import('../shared/terminal-view.ts');
    const view = new TerminalView({
      container: element('terminal'),
      dark: theme.dark,
      screenReader,
      onInput: (data) => this.machine?.console.write(data),
      onResize: (columns, rows) => this.machine?.resize(columns, rows),
      onLeave: () => element('open-help').focus(),
    });
    this.view = view;
    if (this.machine !== null) this.connect(this.machine, view);
  }

  private connectPanels(screenReader: boolean): void {
    const settings = new SettingsPanel((query) => {
      const text = query.toString();
      location.assign(text === '' ? location.pathname : `${location.pathname}?${text}`);
      // The same address again would not load anew.
      if (new URLSearchParams(location.search).toString() === text) location.reload();
    });
    element('open-settings').addEventListener('click', () =>
      settings.open(this.machine?.harts ?? this.bootOptions?.harts ?? null, this.machine?.memory ?? this.bootOptions?.memory ?? null));
    element('pause').addEventListener('click', () => void this.togglePause());
    element('open-machines').addEventListener('click', () => void this.machines.open());
    element('open-help').addEventListener('click', () => element<HTMLDialogElement>('help').showModal());
    for (const id of ['help', 'settings', 'machines']) element(id).addEventListener('close', () => this.view?.focus());
    const reader = element<HTMLInputElement>('screen-reader');
    reader.checked = screenReader;
    reader.addEventListener('change', () => {
      remember(kScreenReaderKey, reader.checked ? '1' : '0');
      this.view?.setScreenReader(reader.checked);
    });
    element('restart').addEventListener('click', () => void this.startAgain());
    element('close-hint').addEventListener('click', () => {
      element('hint').hidden = true;
      this.view?.focus();
    });
    element('failure-retry').addEventListener('click', () => location.reload());
    element('failure-defaults').addEventListener('click', () => location.assign(location.pathname));
  }

  private nameTheme(theme: Theme): void {
    showText('theme-name', kThemeNames[theme.choice]);
    element('theme').setAttribute('aria-label', `Theme: ${kThemeNames[theme.choice]}`);
  }

  showFailure(error: unknown): void {
    const known = error instanceof MachineError ? error : null;
    const { title, advice } = error instanceof SettingsError ? explain('bad-option')
      : error instanceof StorageError ? { ...explain('bad-snapshot'), advice: '' } : explain(known?.code ?? 'core-failed');
    showText('failure-title', title);
    showText('failure-text', error instanceof Error ? error.message : String(error));
    showText('failure-advice', advice);
    const detail = known?.code === 'core-failed' || known?.code === 'worker-crashed' ? known.detail : '';
    showText('failure-detail', detail);
    element('failure-details').hidden = detail === '';
    element('failure-defaults').hidden = location.search === '';
    element('failure').hidden = false;
    this.boot.hide();
    this.status.setState('failed');
  }

  private announce(text: string): void {
    showText('announce', text);
  }
}

declare global {
  /** For the browser's console: the machine on the screen, null while there is none. */
  var hartwood: { readonly machine: Machine | null };
}

let settings: Settings | null = null;
let refused: unknown = null;
try {
  settings = readSettings(new URLSearchParams(location.search));
} catch (error) {
  refused = error;
}
const page = new Page(settings);
globalThis.hartwood = page;
if (refused !== null) page.showFailure(refused);
