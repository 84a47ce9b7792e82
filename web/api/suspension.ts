// SPDX-License-Identifier: Apache-2.0
// Stopping and going on: the whole machine, one hart, single instructions. A hart is stopped by a bit of its attention word,
// which brings it out of the core, and has stopped when its worker says so; nothing is put back before that, so a resume
// cannot overtake a stop. Changes happen one after the other, in the order they were asked for.
import { MachineError } from './errors.ts';

/** What Suspension needs of the machine. */
export interface Suspendable {
  harts: number;
  /** Sets the hart's stop bit and wakes it. */
  stopHart(hart: number): void;
  /** Clears the hart's stop bit. */
  releaseHart(hart: number): void;
  runHart(hart: number): void;
  stepHart(hart: number, count: number): void;
  stopClock(): void;
  runClock(): void;
  /** The guest's time stands still; all output from before has been delivered. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

export class Suspension {
  private readonly machine: Suspendable;
  /** The worker is outside the core. */
  private readonly out: boolean[];
  /** Stopped by itself, whatever the machine does. */
  private readonly held: boolean[];
  private clockOut = true;
  private whole = false;
  private waiting: { ready: () => boolean; resolve: () => void; reject: (error: MachineError) => void }[] = [];
  private stepped: ((count: number) => void) | null = null;
  private last: Promise<unknown> = Promise.resolve();
  private over: MachineError | null = null;

  constructor(machine: Suspendable) {
    this.machine = machine;
    this.out = new Array<boolean>(machine.harts).fill(true);
    this.held = new Array<boolean>(machine.harts).fill(false);
  }

  get paused(): boolean {
    return this.whole;
  }

  isHeld(hart: number): boolean {
    return this.held[hart] === true;
  }

  /** The machine's first instructions. */
  begin(): void {
    this.run();
  }

  pause(hart?: number): Promise<void> {
    return this.inTurn(async () => {
      if (hart !== undefined) {
        this.held[hart] = true;
        this.machine.stopHart(hart);
        await this.until(() => this.out[hart] === true);
        return;
      }
      if (this.whole) return;
      for (let each = 0; each < this.machine.harts; each++) this.machine.stopHart(each);
      this.machine.stopClock();
      await this.until(() => this.clockOut && !this.out.includes(false));
      await this.machine.freeze();
      this.whole = true;
    });
  }

  resume(hart?: number): Promise<void> {
    return this.inTurn(async () => {
      if (hart !== undefined) {
        this.held[hart] = false;
        if (this.whole) return;
        this.machine.releaseHart(hart);
        this.runHart(hart);
        return;
      }
      if (!this.whole) return;
      for (let each = 0; each < this.machine.harts; each++) if (!this.isHeld(each)) this.machine.releaseHart(each);
      await this.machine.thaw();
      this.whole = false;
      this.run();
    });
  }

  /** Resolves with how many instructions the hart, which is stopped, has executed. */
  step(hart: number, count: number): Promise<number> {
    return this.inTurn(async () => {
      if (!this.whole && !this.isHeld(hart)) {
        throw new MachineError('bad-option', `Hart ${hart} runs; pause() it before step().`);
      }
      this.out[hart] = false;
      let executed = 0;
      this.stepped = (done) => {
        executed = done;
        this.hartIsOut(hart);
      };
      this.machine.stepHart(hart, count);
      await this.until(() => this.out[hart] === true);
      return executed;
    });
  }

  /** From the hart's worker. */
  hartIsOut(hart: number): void {
    this.out[hart] = true;
    this.look();
  }

  hartHasStepped(count: number): void {
    const { stepped } = this;
    this.stepped = null;
    stepped?.(count);
  }

  clockIsOut(): void {
    this.clockOut = true;
    this.look();
  }

  /** The machine is no more: whoever waits is told. */
  end(error: MachineError): void {
    this.over = error;
    for (const { reject } of this.waiting) reject(error);
    this.waiting = [];
  }

  private run(): void {
    for (let hart = 0; hart < this.machine.harts; hart++) if (!this.isHeld(hart)) this.runHart(hart);
    this.clockOut = false;
    this.machine.runClock();
  }

  private runHart(hart: number): void {
    this.out[hart] = false;
    this.machine.runHart(hart);
  }

  private inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.last.then(() => {
      if (this.over !== null) throw this.over;
      return action();
    });
    this.last = turn.catch(() => {});
    return turn;
  }

  private until(ready: () => boolean): Promise<void> {
    if (this.over !== null) return Promise.reject(this.over);
    if (ready()) return Promise.resolve();
    return new Promise((resolve, reject) => this.waiting.push({ ready, resolve, reject }));
  }

  private look(): void {
    this.waiting = this.waiting.filter(({ ready, resolve }) => {
      if (!ready()) return true;
      resolve();
      return false;
    });
  }
}
