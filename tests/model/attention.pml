// SPDX-License-Identifier: Apache-2.0
// The attention protocol (host/shm/attention.h) as a model: one inline for each function of attention.cpp, which harts.pml
// calls as host/hart/run.cpp does. One step of the model is one atomic operation on a shared word, sequentially consistent
// as Atomic<T> is. Whatever stands in one d_step or atomic touches one shared word at most; the rest of it is the hart's own
// or is what we observe (below).
//
// Left out, or put together:
//   - load and compare-exchange loops (mark_parked, begin_exclusive) are one step: a failed round changes nothing;
//   - AttentionProtocol::unpark's load before its wait: the wait compares again, so that the load is one of its rounds;
//   - a fence's payload is one word, the number of a page; a fence concerns all other harts;
//   - Timer, Start and Step are bits that are taken as Interrupt is; the model has that one for all of them;
//   - kControl: it is an initiator that owes nobody anything, so what it can do a hart can, too;
//   - counters have eight bits, which no run of the model comes near.
//
// Switches that begin with WRONG_ each put in one mistake. The checker has to find it: tests/model/run.mjs.

#ifndef HARTS
#define HARTS 3
#endif

// Attention
#define kInterrupt 1
#define kStop 2
#define kFlush 4
#define kAck 8
#define kMail 16
#define kExclusive 32
// ParkState
#define kRunning 0
#define kParked 1
#define kParkedMustFlush 2

// struct HartShared, struct MachineShared
byte attention[HARTS];
byte park[HARTS] = kParked;
byte exclusive;
#ifdef FENCES
byte fence_requested[HARTS * HARTS]; // [target, initiator]
byte fence_served[HARTS * HARTS];
bit fence_payload[HARTS * HARTS];
#endif
#define AT(target, initiator) ((target) * HARTS + (initiator))

// The futex: who sleeps on its own attention word, and who on `exclusive`.
bool asleep[HARTS];
bool asleep_on_exclusive[HARTS];

// ----------------------------------------------------------------------------------------------- what we observe
// Nothing of the protocol reads these.

// Where a hart is. Only at `kPlaceGuest` it executes instructions.
#define kPlaceCore 0     // on its way; it must not stay there
#define kPlaceGuest 1
#define kPlaceAsleep 2   // Hart::wait_for_interrupt
#define kPlaceOutside 3  // in its worker's event loop
byte place[HARTS] = kPlaceCore;

// Bit (initiator, page): what the hart has cached is from before the initiator's last change of that page.
#define STALE(initiator, page) (1 << ((initiator) * 2 + (page)))
byte stale[HARTS];
// As `stale`, and the initiator has gone on: the hart must flush before it executes.
byte owed[HARTS];
// Has seen the mark as it left parking, and has not flushed yet.
bool flushing[HARTS];
// The hart that runs alone, plus 1.
byte inside;

#define flushed(self, bits) stale[self] = stale[self] & ~(bits); owed[self] = owed[self] & ~(bits)

// f(other) for all harts but `self`, in order.
#define FIRST_OTHER (self == 0 -> 1 : 0)
#define LAST_OTHER (self == HARTS - 1 -> HARTS - 2 : HARTS - 1)
#if HARTS == 3
#define EACH_OTHER(f) f(FIRST_OTHER); f(LAST_OTHER)
#elif HARTS == 2
#define EACH_OTHER(f) f(FIRST_OTHER)
#else
#define EACH_OTHER(f) skip
#endif

// ----------------------------------------------------------------------------------------------------- the protocol

// AttentionProtocol::post, and then something of the caller's own. Two steps: the bit, the notification. COARSE, for
// scenarios that are too large otherwise: one step, and serve_fences reads and flushes in one, too. Each such scenario has
// a smaller one beside it that is not coarse.
#ifdef COARSE
#define POST_AND(target, bits, then) \
  d_step { attention[target] = attention[target] | (bits); asleep[target] = false; then }
#else
#define POST_AND(target, bits, then) \
  attention[target] = attention[target] | (bits); d_step { asleep[target] = false; then }
#endif
#define post(target, bits) POST_AND(target, bits, skip)

// AttentionProtocol::take, where the word as it was is not used
#define take(bits) attention[self] = attention[self] & ~(bits)

// Atomic::wait of the hart's attention word; `seen` is forgotten. SPURIOUS: so often somebody wakes for no reason.
inline wait_attention() {
  if
  :: atomic { attention[self] == seen -> seen = 0; asleep[self] = true }
     if
     :: !asleep[self]
#ifdef SPURIOUS
     :: d_step { asleep[self] && spurious > 0 -> spurious--; asleep[self] = false }
#endif
     fi
  :: d_step { attention[self] != seen -> seen = 0 }
  fi
}

// AttentionProtocol::unpark
#define FLUSH_EVERYTHING atomic { flushed(self, 255); flushing[self] = false }
inline unpark() {
  do
  ::
#ifdef WRONG_UNPARK_FORGETS_MARK
    if
    :: d_step { park[self] == kParkedMustFlush -> flushing[self] = true } park[self] = kRunning; FLUSH_EVERYTHING
    :: park[self] != kParkedMustFlush -> park[self] = kRunning
    fi;
#else
    if
    :: d_step { park[self] == kParkedMustFlush -> flushing[self] = true; park[self] = kRunning } FLUSH_EVERYTHING
    :: d_step { park[self] != kParkedMustFlush -> park[self] = kRunning }
    fi;
#endif
#ifndef ALONE
    break
#else
#ifdef WRONG_ALONE_WITHOUT_RECHECK
    // Only a hart whose own word says so yields.
    if
    :: (attention[self] & kExclusive) == 0 -> break
    :: else
    fi;
#endif
    if
    :: exclusive == 0 || exclusive == self + 1 -> break
    :: d_step { exclusive != 0 && exclusive != self + 1 -> alone = exclusive }
    fi;
#ifndef WRONG_YIELD_WITHOUT_PARKING
    park[self] = kParked;
#endif
#ifdef WRONG_YIELD_WITH_BARE_NOTIFY
    asleep[alone - 1] = false;
#else
    post(alone - 1, kAck);
#endif
    if
    :: atomic { exclusive == alone -> alone = 0; asleep_on_exclusive[self] = true }
       !asleep_on_exclusive[self]
    :: d_step { exclusive != alone -> alone = 0 }
    fi
#endif
  od
}

// AttentionProtocol::yield_to_exclusive
inline yield_to_exclusive() {
#ifndef WRONG_EXCLUSIVE_NOT_TAKEN
  take(kExclusive);
#endif
  park[self] = kParked;
  unpark()
}

// AttentionProtocol::serve_fences
#define WANTED(initiator) (requested[initiator] != fence_served[AT(self, initiator)])

inline read_request(initiator) {
  requested[initiator] = fence_requested[AT(self, initiator)]
}

inline flush_wanted(initiator) {
  atomic {
    if
    :: WANTED(initiator) -> flushed(self, STALE(initiator, fence_payload[AT(self, initiator)]))
    :: else
    fi
  }
}

inline acknowledge(initiator) {
  if
  :: d_step { WANTED(initiator) -> fence_served[AT(self, initiator)] = requested[initiator]; requested[initiator] = 0 }
#ifdef WRONG_BARE_NOTIFY
     asleep[initiator] = false
#else
     post(initiator, kAck)
#endif
  :: d_step { !WANTED(initiator) -> requested[initiator] = 0 }
  fi
}

inline note_wanted(initiator) {
  atomic {
    if
    :: WANTED(initiator) -> late = late | STALE(initiator, fence_payload[AT(self, initiator)])
    :: else
    fi
  }
}

inline serve_fences() {
#if !defined(FENCES)
  take(kFlush)
#elif defined(WRONG_ACKNOWLEDGE_BEFORE_FLUSH)
  take(kFlush);
  EACH_OTHER(read_request);
  EACH_OTHER(note_wanted);
  EACH_OTHER(acknowledge);
  atomic { flushed(self, late); late = 0 }
#elif defined(WRONG_ACKNOWLEDGE_WHAT_CAME_LATER)
  take(kFlush);
  EACH_OTHER(read_request);
  EACH_OTHER(flush_wanted);
  EACH_OTHER(read_request);
  EACH_OTHER(acknowledge)
#elif defined(WRONG_FLUSH_TAKEN_LATE)
  EACH_OTHER(read_request);
  take(kFlush);
  EACH_OTHER(flush_wanted);
  EACH_OTHER(acknowledge)
#elif defined(COARSE)
  take(kFlush);
  atomic { EACH_OTHER(read_request); EACH_OTHER(flush_wanted) };
  EACH_OTHER(acknowledge)
#else
  take(kFlush);
  EACH_OTHER(read_request);
  EACH_OTHER(flush_wanted);
  EACH_OTHER(acknowledge)
#endif
}

// AttentionProtocol::mark_parked, as a guard that marks. Else park[target] is kRunning.
#define MARK_PARKED(target) park[target] != kRunning -> park[target] = kParkedMustFlush

// AttentionProtocol::remote_fence to all others, for `page`. awaited[target] of the code is the request counter itself:
// nobody else counts this initiator's.
inline ask(target) {
  if
#ifdef WRONG_MARK_WITHOUT_EXCHANGE
  :: park[target] != kRunning -> park[target] = kParkedMustFlush
#else
  :: d_step { MARK_PARKED(target) }
#endif
  :: park[target] == kRunning ->
#ifdef WRONG_PAYLOAD_AFTER_COUNT
     d_step { fence_requested[AT(target, self)]++; waiting = waiting | (1 << target) };
     fence_payload[AT(target, self)] = page;
#else
#ifndef ONE_PAGE
     fence_payload[AT(target, self)] = page;
#endif
     d_step { fence_requested[AT(target, self)]++; waiting = waiting | (1 << target) };
#endif
     post(target, kFlush)
  fi
}

#define AWAITED(target) ((waiting >> (target)) & 1)
#define SERVED(target) (fence_served[AT(target, self)] == fence_requested[AT(target, self)])

inline look_whether_served(target) {
  if
  :: d_step { !AWAITED(target) || SERVED(target) -> waiting = waiting & ~(1 << (target)) }
  :: AWAITED(target) && !SERVED(target) ->
     if
     :: d_step { MARK_PARKED(target); waiting = waiting & ~(1 << (target)) }
     :: park[target] == kRunning
     fi
  fi
}

inline remote_fence() {
  EACH_OTHER(ask);
  do
  :: waiting == 0 -> break
#ifdef WRONG_ACK_TAKEN_LATE
  :: waiting != 0 ->
     EACH_OTHER(look_whether_served);
     d_step { take(kAck); seen = attention[self] };
#else
  :: d_step { waiting != 0 -> take(kAck); seen = attention[self] }
     EACH_OTHER(look_whether_served);
#endif
     if
     :: d_step { waiting == 0 -> seen = 0 } break
#ifdef WRONG_WAITER_SERVES_NOBODY
     :: waiting != 0 -> wait_attention()
#else
#ifndef WRONG_WAITER_NEVER_YIELDS
     :: waiting != 0 && (seen & kExclusive) ->
        yield_to_exclusive();
        if
        :: d_step { seen & kFlush -> seen = 0 } serve_fences()
        :: d_step { !(seen & kFlush) -> seen = 0 }
        fi
#endif
     :: d_step { waiting != 0 && (seen & (kFlush | kExclusive)) == kFlush -> seen = 0 } serve_fences()
#ifdef WRONG_WAITER_NEVER_YIELDS
     :: waiting != 0 && (seen & kFlush) == 0 -> wait_attention()
#else
     :: waiting != 0 && (seen & (kFlush | kExclusive)) == 0 -> wait_attention()
#endif
#endif
     fi
  od
}

// AttentionProtocol::begin_exclusive. `waiting` is the code's `running`.
inline post_if_running(hart) {
  if
  :: d_step { park[hart] == kRunning -> waiting = waiting | (1 << (hart)) } post(hart, kExclusive)
  :: park[hart] != kRunning
  fi
}

inline look_whether_parked(hart) {
  d_step {
    if
    :: park[hart] != kRunning -> waiting = waiting & ~(1 << (hart))
    :: else
    fi
  }
}

inline begin_exclusive() {
#ifdef WRONG_ALONE_LOOKS_FIRST
  EACH_OTHER(post_if_running);
#endif
  do
  :: d_step { exclusive == 0 -> exclusive = self + 1 } break
  :: exclusive != 0 -> yield_to_exclusive()
  od;
#ifndef WRONG_ALONE_LOOKS_FIRST
  EACH_OTHER(post_if_running);
#endif
  do
  :: waiting == 0 -> break
  :: d_step { waiting != 0 -> take(kAck); seen = attention[self] }
     EACH_OTHER(look_whether_parked);
     if
     :: waiting != 0 -> wait_attention()
     :: d_step { waiting == 0 -> seen = 0 } break
     fi
  od
}

// AttentionProtocol::end_exclusive
inline end_exclusive() {
  exclusive = 0;
#ifndef WRONG_END_TELLS_NOBODY
  atomic {
    asleep_on_exclusive[0] = false;
#if HARTS > 1
    asleep_on_exclusive[1] = false;
#endif
#if HARTS > 2
    asleep_on_exclusive[2] = false
#endif
  }
#endif
}

// AttentionProtocol::sleep, up to unpark(): the caller goes on with that. TIMEOUTS: so often a deadline passes.
inline sleep_parked(wake_bits) {
  park[self] = kParked;
  seen = attention[self];
  do
#ifdef WRONG_SLEEP_WITHOUT_RECHECK
  :: !slept || !(seen & (wake_bits | kFlush | kExclusive)) ->
     slept = true;
#elif defined(WRONG_SLEEPER_IGNORES_FENCES)
  :: !(seen & (wake_bits)) ->
#else
  :: !(seen & (wake_bits | kFlush | kExclusive)) ->
#endif
     if
     :: atomic { attention[self] == seen -> seen = 0; asleep[self] = true; place[self] = kPlaceAsleep }
        if
        :: d_step { !asleep[self] -> place[self] = kPlaceCore }
#ifdef TIMEOUTS
        :: d_step { asleep[self] && timeouts > 0 -> timeouts--; asleep[self] = false; place[self] = kPlaceCore }
           seen = attention[self];
           break
#endif
        fi
     :: d_step { attention[self] != seen -> seen = 0 }
     fi;
     seen = attention[self]
  :: else -> break
  od
#ifdef WRONG_SLEEP_WITHOUT_RECHECK
  ;
  slept = false
#endif
}
