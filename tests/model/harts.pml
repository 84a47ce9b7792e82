// SPDX-License-Identifier: Apache-2.0
// Harts, the page and a poster of interrupts over the attention protocol (attention.pml), as a model for spin. What stands
// here is host/hart/run.cpp (run, handle_attention, wait_for_interrupt, park_and_return), workers/hart-loop.ts and
// hart-worker.ts (runHart, the messages), web/api/machine.ts (pause, resume, ping, 'stopped') and host/sbi/ipi.cpp.
//
// One text, many scenarios: run.mjs gives each actor a small number of deeds, and the checker goes through every
// interleaving of them. A hart that has done its deeds executes for ever: it is at `kPlaceGuest` and looks at its word.
//   HARTS        1 to 3
//   FENCES       {n, n, n}: fences by each hart, of page 0 and page 1 by turns
//   ALONE        {n, n, n}: instructions that each hart executes alone
//   WFI          {n, n, n}: 1: the hart may execute WFI, whenever it likes, until it does not like to any more
//   LEAVES       {n, n, n}: so often the hart's budget ends without a reason
//   INTERRUPTS   by the poster, each to any hart
//   PAUSES       pauses by the page; PAUSED: mask of the harts that are paused, all if absent
//   ONCE         the page sets the mail bit once for each, as HartMailbox.post does
//   PINGS        by the page, each to any hart. LATE: so many turns of event loops end before what was posted has arrived
//   TIMEOUTS     sleeps that end by a deadline. SPURIOUS: waits that end for no reason
//
// Checked (all of it as assertions, so a run needs no fairness):
//   - when an initiator goes on, every other hart has flushed since the request, or is parked and marked, or has seen the
//     mark and is about to flush; a hart enters the guest only with everything flushed that a fence has promised to
//     somebody; nobody executes while another hart runs alone; a hart that the page knows to be paused executes nothing;
//   - at rest (no actor can move) every hart executes, sleeps in WFI, or, if paused, is in its event loop; nobody sleeps or
//     executes with a bit that it must see, an interrupt or mail; nobody who was resumed stays out;
//   - with `pan -l` (run.mjs says where) that there is no cycle of steps: every run comes to its rest.
//
// Left out, or put together: guest state, lines other than one, their masks (always enabled); HSM states (always started),
// virtual time, the end of the machine, Exit::power; tearDown(). The clock is clock.pml. Wake-ups of mailboxes that let a
// sleeping hart sleep on (HartMailbox.post) are not here: ping() always notifies.

#ifndef HARTS
#define HARTS 3
#endif
#ifndef PAUSED
#define PAUSED ((1 << HARTS) - 1)
#endif

#ifdef TIMEOUTS
byte timeouts = TIMEOUTS;
#endif
#ifdef SPURIOUS
byte spurious = SPURIOUS;
#endif

#include "attention.pml"

#ifdef FENCES
byte fences[HARTS] = FENCES;
#endif
#ifdef ALONE
byte alones[HARTS] = ALONE;
#endif
#ifdef WFI
byte may_wait[HARTS] = WFI;
#endif
#ifdef LEAVES
byte leaves[HARTS] = LEAVES;
#endif

#ifdef INTERRUPTS
bit lines[HARTS];  // HartShared::lines
bit news[HARTS];   // what the interrupt announces: memory of the guest
#endif

// Messages between the page and the harts' workers.
#if defined(PAUSES) || defined(PINGS)
#define PAGE
#define kRun 1
#define kPing 2        // posted while the machine runs
#define kPingPaused (3 + pauses)  // posted after pause(): after this one, that is
chan to_hart[HARTS] = [6] of { byte };
byte stops_told[HARTS];   // so many 'stopped' are on their way to the page
byte mail_posted[HARTS];
byte mail_taken[HARTS];
bool paused;           // Machine.current is 'paused' instead of 'running'
bool for_good;         // and there will be no resume
bool quiet[HARTS];     // the hart has answered a ping that came after its stop
#ifdef PAUSES
byte pauses = PAUSES;
#else
#define pauses 0
#endif
#ifdef PINGS
byte pings = PINGS;
#endif
#ifdef LATE
byte late_turns = LATE;
#endif
#endif
#define MAIL_WAITS (mail_posted[self] != mail_taken[self])

#ifdef WRONG_SLEEPER_IGNORES_STOP
#define WAKE_ALWAYS kMail
#else
#define WAKE_ALWAYS (kStop | kMail)
#endif

// What must hold where a hart executes an instruction.
#ifdef PAGE
#define MAY_EXECUTE owed[self] == 0 && (inside == 0 || inside == self + 1) && !quiet[self]
#else
#define MAY_EXECUTE owed[self] == 0 && (inside == 0 || inside == self + 1)
#endif

// Hart::refresh_lines
inline refresh_lines() {
#ifdef INTERRUPTS
  mip = lines[self]
#else
  skip
#endif
}

// hart-worker.ts: parent.onmessage. `running`: is a loop under way already?
inline receive(running) {
  to_hart[self]?message;
  if
  :: d_step { message == kRun -> message = 0 }
     if
     :: running
     :: !running -> goto core
     fi
  :: d_step { message != kRun ->
       mail_taken[self]++;
       quiet[self] = quiet[self] || (message == kPingPaused && paused && ((PAUSED >> self) & 1));
       message = 0 }
  fi
}

// The guest has changed a page; what others have cached of it is old.
inline make_stale(hart) {
  stale[hart] = stale[hart] | STALE(self, page)
}
// The initiator goes on: everybody has flushed, or will before it does anything else.
inline goes_on(hart) {
  assert(!(stale[hart] & STALE(self, page)) || park[hart] == kParkedMustFlush || flushing[hart]);
  owed[hart] = owed[hart] | (stale[hart] & STALE(self, page))
}
inline executes_nothing(hart) {
  assert(place[hart] != kPlaceGuest)
}

proctype Hart(byte self) {
  byte seen;
  byte waiting;           // remote_fence, begin_exclusive: a mask of harts
  byte exit;              // Hart::Exit
#ifdef FENCES
  byte requested[HARTS];  // serve_fences
  bit page;
#endif
#ifdef ALONE
  byte alone;
#endif
#ifdef INTERRUPTS
  bit mip;
#endif
#ifdef WFI
  bool wfi;               // Hart::waiting_
#endif
#ifdef PAGE
  byte message;
#endif
#ifdef WRONG_ACKNOWLEDGE_BEFORE_FLUSH
  byte late;
#endif
#ifdef WRONG_SLEEP_WITHOUT_RECHECK
  bool slept;
#endif

#ifdef RUNNING
  goto guest;
#endif

core:  // hart-loop.ts calls Hart::run
  unpark();
  refresh_lines();

poll:  // Hart::handle_attention. What has been answered is taken out of `seen`.
  if
  :: attention[self] == 0 -> goto awake
  :: d_step { attention[self] != 0 -> seen = attention[self] }
  fi;
  do
  :: d_step { seen & kExclusive -> seen = seen & ~kExclusive } yield_to_exclusive()
  :: d_step { (seen & (kExclusive | kFlush)) == kFlush -> seen = seen & ~kFlush } serve_fences()
#ifdef INTERRUPTS
  :: d_step { (seen & (kExclusive | kFlush | kInterrupt)) == kInterrupt -> seen = seen & ~kInterrupt }
#ifdef WRONG_INTERRUPT_TAKEN_LATE
     refresh_lines();
     take(kInterrupt)
#else
     take(kInterrupt);
     refresh_lines()
#endif
#endif
  :: d_step { (seen & (kExclusive | kFlush | kInterrupt | kAck)) == kAck -> seen = seen & ~kAck } take(kAck)
  :: d_step { (seen & ~kMail) == kStop -> seen = 0; exit = kStop }
#ifdef WRONG_STOP_TAKEN_BY_HART
     take(kStop);
#endif
     goto leave
  :: d_step { seen == kMail -> seen = 0; exit = kMail } take(kMail); goto leave
  :: seen == 0 -> break
  od;

awake:
#ifdef WFI
  if
  :: wfi ->
#ifdef INTERRUPTS
     if
     :: mip
     :: !mip ->
#endif
        // Hart::wait_for_interrupt
        refresh_lines();
#ifdef INTERRUPTS
        if
        :: mip
        :: !mip ->
#endif
           sleep_parked(WAKE_ALWAYS | kInterrupt);
           unpark();
           if
           :: d_step { seen & kFlush -> seen = 0 } serve_fences()
           :: d_step { !(seen & kFlush) -> seen = 0 }
           fi;
           refresh_lines();
#ifdef INTERRUPTS
           if
           :: mip
           :: !mip -> goto poll
           fi
        fi
     fi;
     wfi = false
#else
           goto poll
#endif
  :: !wfi
  fi;
#endif

guest:  // Hart::take_interrupt, interpret
  atomic { assert(MAY_EXECUTE); place[self] = kPlaceGuest };
#ifdef INTERRUPTS
  do
  :: mip ->  // the guest's handler: csr.cpp clears the line, then the guest looks
     lines[self] = 0;
     refresh_lines();
     news[self] = 0
  :: !mip -> break
  od;
#endif
  if
  :: d_step { attention[self] != 0 -> place[self] = kPlaceCore } goto poll
#ifdef WFI
  :: d_step { may_wait[self] > 0 && !wfi -> wfi = true; place[self] = kPlaceCore } goto poll
  :: d_step { may_wait[self] > 0 -> may_wait[self] = 0 } goto guest
#endif
#ifdef LEAVES
  :: d_step { leaves[self] > 0 -> leaves[self]--; place[self] = kPlaceCore } goto leave
#endif
#ifdef PINGS
  :: d_step { MAIL_WAITS -> place[self] = kPlaceCore } goto leave
#endif
#ifdef FENCES
  :: d_step {  // the guest has changed a page and asks for a fence: Hart::fence_others
       fences[self] > 0 ->
       fences[self]--;
#ifndef ONE_PAGE
       page = fences[self] & 1;
#endif
       EACH_OTHER(make_stale);
       place[self] = kPlaceCore
     }
     remote_fence();
     atomic { EACH_OTHER(goes_on); page = 0 }
     goto guest
#endif
#ifdef ALONE
  :: d_step { alones[self] > 0 -> alones[self]--; place[self] = kPlaceCore }
     // execute.cpp: compare_and_swap_pair
     begin_exclusive();
     atomic {
       assert(MAY_EXECUTE);
       inside = self + 1;
       EACH_OTHER(executes_nothing)
     };
     inside = 0;
     end_exclusive();
     goto poll
#endif
  fi;

leave:  // Hart::park_and_return
  do
  :: park[self] = kParked;
#ifdef WRONG_RETURN_WITHOUT_RECHECK
     break
#else
     if
#ifdef WRONG_RETURN_FORGETS_ALONE
     :: (attention[self] & kFlush) == 0 -> break
#else
     :: (attention[self] & (kFlush | kExclusive)) == 0 -> break
#endif
     :: else
     fi;
     take(kExclusive);
     unpark();
     serve_fences()
#endif
  od;
#ifndef PAGE
  goto core
#else
  // hart-loop.ts: runHart
  if
  :: d_step { exit == kStop -> exit = 0; stops_told[self]++; place[self] = kPlaceOutside } goto outside
  :: d_step { exit != kStop && MAIL_WAITS -> exit = 0 }
  :: d_step { exit != kStop && !MAIL_WAITS -> exit = 0 } goto core
  fi;
  // turn(): what has arrived is received; LATE: what was posted need not have arrived.
  do
  :: receive(true)
  :: empty(to_hart[self]) -> goto core
#ifdef LATE
  :: d_step { late_turns > 0 && nempty(to_hart[self]) -> late_turns-- } goto core
#endif
  od;

outside:  // hart-worker.ts: the event loop, and no loop of ours
  do
  :: receive(false)
  od
#endif
}

#ifdef PAGE
#define SEND(hart, kind) assert(nfull(to_hart[hart])); to_hart[hart]!kind

// web/api/machine.ts. An event is handled to its end before the next one.
proctype Page() {
  byte h;
  do
#ifdef PAUSES
  :: d_step { pauses > 0 && !paused -> pauses--; paused = true; h = 0 }  // pause()
     do
     :: h < HARTS && ((PAUSED >> h) & 1) -> POST_AND(h, kStop, h++)
     :: d_step { h < HARTS && !((PAUSED >> h) & 1) -> h++ }
     :: d_step { h == HARTS -> h = 0 } break
     od;
     if
     :: for_good = true
     :: skip
     fi
  :: d_step {  // resume()
       paused && !for_good ->
       paused = false;
       do
       :: h < HARTS -> quiet[h] = false; h++
       :: else -> h = 0; break
       od
     }
     do
#ifdef WRONG_RESUME_CLEARS_WORD
     :: d_step { h < HARTS -> attention[h] = 0; h++ }
#else
     :: d_step { h < HARTS -> attention[h] = attention[h] & ~kStop; h++ }
#endif
     :: d_step { h == HARTS -> h = 0 } break
     od;
#ifndef WRONG_RESUME_WITHOUT_RUN
     do
     :: h < HARTS -> SEND(h, kRun); h++
     :: d_step { h == HARTS -> h = 0 } break
     od
#endif
  // fromHart: 'stopped'
#define STOPPED(hart) d_step { stops_told[hart] > 0 -> stops_told[hart]-- } if :: paused :: !paused -> ANSWER(hart) fi
#ifdef WITHOUT_ANSWER
#define ANSWER(hart) skip
#else
#define ANSWER(hart) SEND(hart, kRun)
#endif
  :: STOPPED(0)
#if HARTS > 1
  :: STOPPED(1)
#endif
#if HARTS > 2
  :: STOPPED(2)
#endif
#endif
#ifdef PINGS
  :: d_step { pings > 0 -> pings-- }  // ping(): the message, its count, its bit
     if
     :: h = 0
#if HARTS > 1
     :: h = 1
#endif
#if HARTS > 2
     :: h = 2
#endif
     fi;
#ifdef WRONG_MAIL_BIT_FIRST
     post(h, kMail);
     SEND(h, (paused -> kPingPaused : kPing));
     mail_posted[h]++;
#else
     SEND(h, (paused -> kPingPaused : kPing));
     mail_posted[h]++;
     post(h, kMail);
#endif
     h = 0
#if !defined(WRONG_PING_ONCE) && !defined(ONCE)
     // Again after a while, for a hart that went to sleep in spite of it.
#define UNTAKEN(hart) d_step { mail_posted[hart] != mail_taken[hart] && asleep[hart] -> skip } post(hart, kMail)
  :: UNTAKEN(0)
#if HARTS > 1
  :: UNTAKEN(1)
#endif
#if HARTS > 2
  :: UNTAKEN(2)
#endif
#endif
#endif
  od
}
#endif

#ifdef INTERRUPTS
// host/sbi/ipi.cpp: another hart or a device. The guest's own data first, then the line, then the bit.
proctype Poster() {
  byte left = INTERRUPTS, h;
  do
  :: left > 0 ->
     if
     :: d_step { h = 0; left--; news[h] = 1 }
#if HARTS > 1
     :: d_step { h = 1; left--; news[h] = 1 }
#endif
#if HARTS > 2
     :: d_step { h = 2; left--; news[h] = 1 }
#endif
     fi;
#ifdef WRONG_BIT_BEFORE_LINE
     attention[h] = attention[h] | kInterrupt;
     asleep[h] = false;
     d_step { lines[h] = 1; h = 0 }
#elif defined(WRONG_NOTIFY_BEFORE_BIT)
     lines[h] = 1;
     asleep[h] = false;
     d_step { attention[h] = attention[h] | kInterrupt; h = 0 }
#else
     lines[h] = 1;
     POST_AND(h, kInterrupt, h = 0)
#endif
  :: left == 0 -> break
  od
}
#endif

// Looks at the harts when nobody can move any more.
proctype Rest() {
  byte h;
  timeout;
  d_step {
    do
    :: h < HARTS ->
       assert(place[h] != kPlaceCore);
       assert(exclusive == 0 && inside == 0);
#ifdef PAGE
       assert((place[h] == kPlaceOutside) == (paused && ((PAUSED >> h) & 1)));
       assert(mail_posted[h] == mail_taken[h]);
#endif
       if
       :: place[h] != kPlaceOutside ->
          assert((attention[h] & ~kAck) == 0);
#ifdef INTERRUPTS
          assert(lines[h] == 0 && news[h] == 0);
#endif
       :: else
       fi;
#ifdef FENCES
       assert(fences[h] == 0 || place[h] != kPlaceGuest);
#endif
       h++
    :: else -> break
    od
  }
}

init {
  atomic {
#ifdef RUNNING
    park[0] = kRunning;
    park[1] = kRunning;
    park[2] = kRunning;
#endif
    run Rest();
    run Hart(0);
#if HARTS > 1
    run Hart(1);
#endif
#if HARTS > 2
    run Hart(2);
#endif
#ifdef PAGE
    run Page();
#endif
#ifdef INTERRUPTS
    run Poster()
#else
    skip
#endif
  }
}
