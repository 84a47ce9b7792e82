// SPDX-License-Identifier: Apache-2.0
// The clock thread and the harts' deadlines, as a model for spin: Machine::run_clock and stop_clock
// (host/machine/machine.cpp), Hart::refresh_timers and arm_deadline (host/hart/run.cpp). Kept apart from harts.pml because
// they share one bit with it, the timer's, and a notion of time that nothing else has.
//
//   HARTS      2 or 3
//   ARMS       {n, n, n}: so many comparators each hart sets while it executes, to any tick that is left
//   TICKS      so far time goes. It passes whenever it likes; an actor may sleep through it, but a wait with a time limit
//              ends when the limit has passed
//   STOPS      so often the clock is stopped (stop_all) and started again (resume_all, hw_clock_run)
//
// Checked: at rest, when time has passed and nobody can move, every comparator that was set has fired; whoever stopped the
// clock has seen it return. With `pan -l`: no cycle of steps, so the clock does not run round for nothing.
//
// Left out, or put together: the mtimecmp of the ACLINT, which is written by other harts and posts the timer's bit itself
// (as the poster of harts.pml does); the alarm of the real-time clock; sleeping harts, which watch their own deadline; what
// the compare-exchange of a deadline reads again when it fails is read in the next step in any case.
//
#ifndef HARTS
#define HARTS 2
#endif
#ifndef TICKS
#define TICKS 2
#endif
#define kNever 255

byte now;
byte deadline[HARTS] = kNever;  // HartShared::deadline
bool timer_bit[HARTS];          // kAttentionTimer
byte clock_word;
byte clock_deadline = kNever;
bool clock_stop;
bool clock_asleep;

byte arms[HARTS] = ARMS;
byte stimecmp[HARTS] = kNever;  // the hart's own
#ifdef STOPS
byte stops = STOPS;
#endif
bool clock_returned;

proctype Time() {
  do
  :: now < TICKS -> now++
  :: else -> break
  od
}

inline wake_clock() {
  clock_word++;
  clock_asleep = false
}

// Hart::arm_deadline, with the tick that refresh_timers has read.
inline arm_deadline() {
#ifdef WRONG_DEADLINE_COMPARED_FIRST
  d_step { earlier = (stimecmp[self] > tick -> stimecmp[self] : kNever) < clock_deadline };
  d_step { deadline[self] = (stimecmp[self] > tick -> stimecmp[self] : kNever); tick = 0 };
#else
  d_step { deadline[self] = (stimecmp[self] > tick -> stimecmp[self] : kNever); tick = 0 };
  earlier = deadline[self] < clock_deadline;
#endif
  if
  :: d_step { earlier -> earlier = false; clock_word++ } clock_asleep = false
  :: !earlier
  fi
}

// Hart::refresh_timers: the comparator fires, or its deadline is armed again.
inline refresh_timers() {
  tick = now;
  if
  :: d_step { stimecmp[self] <= tick -> stimecmp[self] = kNever }
  :: stimecmp[self] > tick
  fi;
  arm_deadline()
}

proctype Hart(byte self) {
  byte tick, until;
  bool earlier;
  do
  :: d_step { arms[self] > 0 -> arms[self]--; until = now }
     // any tick from now on
     do
     :: until < TICKS -> until++
     :: d_step { stimecmp[self] = until; until = 0 } break
     od;
     refresh_timers()
#ifdef WRONG_TIMER_TAKEN_LATE
  :: timer_bit[self] -> refresh_timers(); timer_bit[self] = false
#else
  :: d_step { timer_bit[self] -> timer_bit[self] = false } refresh_timers()
#endif
  od
}

// The clock's look at one hart's deadline.
inline look(hart) {
  found = deadline[hart];
  if
#ifdef WITHOUT_EXCHANGE
  :: found <= tick -> deadline[hart] = kNever; timer_bit[hart] = true; found = deadline[hart]
#else
  :: found <= tick ->
     if
     :: d_step { deadline[hart] == found -> deadline[hart] = kNever } timer_bit[hart] = true
     :: deadline[hart] != found
     fi;
     found = deadline[hart]
#endif
  :: found > tick
  fi;
  atomic {
    if
    :: found < earliest -> earliest = found
    :: else
    fi;
    found = 0
  }
}

// Machine::run_clock, over and over: its worker calls it again after a resume.
proctype Clock() {
  byte seen, tick, earliest, found, hart;
  bool again;
start:
  clock_returned = false;
  do
  ::
#ifndef WRONG_WORD_READ_LATE
    seen = clock_word;
#endif
    if
    :: clock_stop -> break
    :: !clock_stop
    fi;
#ifdef WRONG_WORD_READ_LATE
    seen = clock_word;
#endif
    atomic { tick = now; earliest = kNever };
    hart = 0;
    do
    :: hart < HARTS -> look(hart); hart++
    :: else -> break
    od;
    atomic { hart = 0; clock_deadline = earliest };
    if
    :: earliest <= tick  // no time is left: look again
    :: earliest > tick ->
#ifndef WRONG_CLOCK_WITHOUT_RECHECK
       do
       :: d_step { hart < HARTS -> again = again || deadline[hart] < earliest; hart++ }
       :: d_step { hart == HARTS -> hart = 0 } break
       od;
#endif
       if
       :: again
       :: atomic { !again && clock_word == seen -> clock_asleep = true }
          if
          :: !clock_asleep
          :: d_step { clock_asleep && now >= earliest -> clock_asleep = false }
          fi
       :: !again && clock_word != seen
       fi
    fi;
    atomic { seen = 0; tick = 0; earliest = 0; again = false }
  od;
  atomic { seen = 0; clock_returned = true };
  if
  :: !clock_stop -> goto start
  fi
}

#ifdef STOPS
proctype Control() {
  do
  :: stops > 0 ->
     stops--;
     clock_stop = true;  // Machine::stop_clock
#ifdef WRONG_STOP_TELLS_NOBODY
     skip;
#else
     wake_clock();
#endif
     clock_returned;     // hw_clock_run has returned
     clock_stop = false; // Machine::resume_all
     !clock_returned     // and is called again
  :: stops == 0 -> break
  od
}
#endif

proctype Rest() {
  byte hart;
  timeout;
  atomic {
    do
    :: hart < HARTS ->
       assert(arms[hart] == 0 && stimecmp[hart] == kNever && !timer_bit[hart]);
       hart++
    :: else -> break
    od;
#ifdef STOPS
    assert(stops == 0 && !clock_stop);
#endif
    assert(!clock_returned && clock_asleep)
  }
}

init {
  atomic {
    run Rest();
    run Time();
    run Clock();
    run Hart(0);
    run Hart(1);
#if HARTS > 2
    run Hart(2);
#endif
#ifdef STOPS
    run Control()
#else
    skip
#endif
  }
}
