/* What may be sent again: docs/protocol.md sections 4, 6 and 8.
 *
 * Two calls on one accepted session, each idempotent or not (all four combinations), and then on another server. The
 * server reads, queues and executes in three threads; it may drain, give the session up at any step (corrupt log, client
 * believed dead), crash or stop at every step. The client may believe it lost at any step, rightly or not, so nothing
 * here rests on a lease. Frames become visible to the reader one by one, any time after they were written.
 *
 * Checked: a non-idempotent call is executed at most once; what is reported as certainly not executed was not and will
 * not be executed; a call that was cancelled before it started is never started after the server has seen that; every
 * call ends (no invalid end state; with -DLIVE also as a formula under weak fairness).
 */

#define CALLS 2
#define MOST_REQUESTS 4  /* each call's CALL and CANCEL */
#define MOST_RESPONSES 5 /* each call's REPLY (two of them when a guard is out) and GOODBYE */

/* Each guard can be taken out with -DNO_GUARD_...; README.md says what each prevents. */
#ifdef NO_GUARD_LOST
#define GUARD_LOST 0
#else
#define GUARD_LOST 1
#endif
#ifdef NO_GUARD_READ_POSITION
#define GUARD_READ_POSITION 0
#else
#define GUARD_READ_POSITION 1
#endif
#ifdef NO_GUARD_STOP_READING
#define GUARD_STOP_READING 0
#else
#define GUARD_STOP_READING 1
#endif
#ifdef NO_GUARD_TAKE_ONCE
#define GUARD_TAKE_ONCE 0
#else
#define GUARD_TAKE_ONCE 1
#endif
#ifdef NO_GUARD_RETURNED_IS_FINAL
#define GUARD_RETURNED_IS_FINAL 0
#else
#define GUARD_RETURNED_IS_FINAL 1
#endif
#ifdef NO_GUARD_WRITE_BEGUN
#define GUARD_WRITE_BEGUN 0
#else
#define GUARD_WRITE_BEGUN 1
#endif
#ifdef NO_GUARD_MAY_STAYS
#define GUARD_MAY_STAYS 0
#else
#define GUARD_MAY_STAYS 1
#endif
#ifdef NO_GUARD_CANCELLED
#define GUARD_CANCELLED 0
#else
#define GUARD_CANCELLED 1
#endif
#ifdef NO_GUARD_TIMERS
#define GUARD_TIMERS 0
#else
#define GUARD_TIMERS 1
#endif

/* With -DREACH_... the named state is an error: run.sh uses it to see that the model is not vacuous. */
#ifdef REACH_RESENT_BEYOND_GOODBYE
#define AT_RESENT_BEYOND assert(false)
#else
#define AT_RESENT_BEYOND skip
#endif
#ifdef REACH_RESENT_NOT_STARTED
#define AT_RESENT_NOT_STARTED assert(false)
#else
#define AT_RESENT_NOT_STARTED skip
#endif
#ifdef REACH_EXECUTED_TWICE_IDEMPOTENT
#define AT_EXECUTED(c) assert(executions[c] < 2)
#else
#define AT_EXECUTED(c) skip
#endif
#ifdef REACH_LOST_THOUGH_EXECUTED
#define AT_LOST(c) assert(executions[c] == 0)
#else
#define AT_LOST(c) skip
#endif
#ifdef REACH_LOST_THEN_EXECUTED
#define AT_LATE(c) assert(ended[c] != may_have)
#else
#define AT_LATE(c) skip
#endif
#ifdef REACH_CERTAINLY_NOT
#define AT_CERTAINLY_NOT assert(false)
#else
#define AT_CERTAINLY_NOT skip
#endif
#ifdef REACH_CANCELLED_IN_QUEUE
#define AT_CANCELLED assert(false)
#else
#define AT_CANCELLED skip
#endif
#ifdef REACH_ALL_REPLIED
#define AT_REPLIED assert(ended[0] != replied || ended[1] != replied)
#else
#define AT_REPLIED skip
#endif

mtype = { call0, call1, cancel0, cancel1 };                            /* frames of the request log */
mtype = { none, ok, not_started, goodbye };                            /* frames of the response log */
mtype = { unknown_, queued, started, finished, returned, cancelled };  /* a call in the server's memory */
mtype = { pending, replied, may_have, certainly_not };                 /* how a call ended for its caller */

bool idempotent[CALLS];
byte executions[CALLS];
mtype ended[CALLS] = pending;

/* The logs. Positions count frames. */
mtype requests[MOST_REQUESTS];
byte requests_end;
mtype responses[MOST_RESPONSES] = none;
byte response_value[MOST_RESPONSES]; /* the call; of a GOODBYE its read_position */
byte responses_end;

/* The server's memory. */
mtype state[CALLS] = unknown_;
byte read_position;
bool draining, stopped, closed, crashed;
bool cancelled_in_time[CALLS]; /* for the assertion only */

inline respond(kind, value) {
  responses[responses_end] = kind;
  response_value[responses_end] = value;
  responses_end++
}

inline take_frame() {
  c = (requests[read_position] == call0 || requests[read_position] == cancel0 -> 0 : 1);
  if
  :: requests[read_position] == call0 || requests[read_position] == call1 ->
     if
     :: !draining -> state[c] = queued
     :: state[c] = returned; respond(not_started, c) /* draining, or the queue is full */
     fi
  :: else ->
     if
     :: state[c] == queued -> state[c] = cancelled; cancelled_in_time[c] = true; AT_CANCELLED
     :: else
     fi
  fi;
  read_position++;
  c = 0
}

active proctype Reader() {
  byte c;
end_reader:
  do
  :: atomic { !crashed && !stopped && !closed && read_position < requests_end -> take_frame() }
  od
}

#define MAY_TAKE(c)                                           \
  (!crashed && !closed &&                                     \
   (state[c] == queued ||                                     \
    (!GUARD_RETURNED_IS_FINAL && state[c] == returned) ||     \
    (!GUARD_CANCELLED && state[c] == cancelled)))

active proctype Worker() {
  byte c;
end_worker:
  do
  :: /* Takes a call out of the queue and marks it started, in one step. */
     if
     :: atomic { MAY_TAKE(0) -> c = 0; state[0] = (GUARD_TAKE_ONCE -> started : state[0]) }
     :: atomic { MAY_TAKE(1) -> c = 1; state[1] = (GUARD_TAKE_ONCE -> started : state[1]) }
     fi;
     state[c] = started;
end_starting:
     atomic {
       !crashed ->
       assert(!cancelled_in_time[c]);
       assert(ended[c] != certainly_not);
       AT_LATE(c);
       executions[c]++;
       assert(executions[c] <= 1 || idempotent[c]);
       AT_EXECUTED(c)
     };
end_replying:
     atomic { !crashed && !closed -> state[c] = finished; respond(ok, c); c = 0 }
  od
}

#define RETURN_QUEUED(c)                                                                 \
  if                                                                                     \
  :: atomic { !crashed && state[c] == queued -> state[c] = returned; respond(not_started, c) } \
  :: crashed || state[c] != queued                                                       \
  fi

#define SETTLED(c) (state[c] != queued && state[c] != started)

active proctype Control() {
  byte position;
end_control:
  if
  :: draining = true; /* goes down in order: returns what has not started, finishes the rest */
     RETURN_QUEUED(0);
     RETURN_QUEUED(1);
end_settling:
     SETTLED(0) && SETTLED(1)
  :: skip /* gives the session up: the request log is corrupt, or the client seems dead */
  fi;
  if
  :: GUARD_STOP_READING -> stopped = true
  :: !GUARD_STOP_READING
  fi;
  position = read_position;
end_goodbye:
  atomic { !crashed -> closed = true; respond(goodbye, position) }
}

active proctype Crash() {
end_crash:
  if
  :: crashed = true
  :: skip
  fi
}

inline send_again(c, certain) {
  if
  :: atomic {
       executions[c]++;
       assert(executions[c] <= 1 || idempotent[c]);
       AT_EXECUTED(c);
       ended[c] = replied
     }
  :: atomic {
       executions[c]++;
       assert(executions[c] <= 1 || idempotent[c]);
       ended[c] = may_have /* the second server is lost in its turn */
     }
  :: atomic { /* no second server until the ack timeout */
       if
       :: certain || !GUARD_MAY_STAYS -> ended[c] = certainly_not; assert(executions[c] == 0); AT_CERTAINLY_NOT
       :: !certain && GUARD_MAY_STAYS -> ended[c] = may_have
       fi
     }
  fi
}

inline server_lost(c) {
  if
  :: ended[c] == pending && !begun[c] -> send_again(c, true)
  :: ended[c] == pending && begun[c] && (idempotent[c] || !GUARD_LOST) -> send_again(c, false)
  :: atomic { ended[c] == pending && begun[c] -> ended[c] = may_have; AT_LOST(c) }
  :: ended[c] != pending
  fi
}

inline beyond_goodbye(c, limit) {
  if
  :: ended[c] == pending && (position[c] >= limit || !GUARD_READ_POSITION) -> AT_RESENT_BEYOND; send_again(c, true)
  :: else
  fi
}

inline next_response() {
  atomic { value = response_value[next]; kind = responses[next]; next++ };
  if
  :: kind == ok && ended[value] == pending -> ended[value] = replied; AT_REPLIED
  :: kind == not_started && ended[value] == pending -> AT_RESENT_NOT_STARTED; send_again(value, true)
  :: kind == goodbye ->
     beyond_goodbye(0, value);
     beyond_goodbye(1, value);
     over = true
  :: else
  fi;
  atomic { kind = none; value = 0 }
}

/* From the moment that a write was begun the call may be seen, whatever the write reports. After a failure the log is
 * sealed. */
inline write_call(c, frame) {
  if
  :: sealed
  :: atomic { !sealed -> position[c] = requests_end; begun[c] = true; requests[requests_end] = frame; requests_end++ }
  :: atomic {
       !sealed -> position[c] = requests_end; begun[c] = GUARD_WRITE_BEGUN; requests[requests_end] = frame;
       requests_end++; sealed = true
     }
  :: atomic { !sealed -> position[c] = requests_end; begun[c] = GUARD_WRITE_BEGUN; sealed = true }
  fi
}

inline give_up(c, frame) {
  atomic {
    GUARD_TIMERS && !over && !sealed && ended[c] == pending ->
    requests[requests_end] = frame; requests_end++;
    ended[c] = may_have
  }
}

active proctype Client() {
  byte position[CALLS] = MOST_REQUESTS;
  bool begun[CALLS];
  bool sealed, over;
  byte next, value;
  mtype kind = none;

  if
  :: idempotent[0] = true
  :: skip
  fi;
  if
  :: idempotent[1] = true
  :: skip
  fi;
  write_call(0, call0);
  write_call(1, call1);
  do
  :: ended[0] != pending && ended[1] != pending -> break
  :: !over && next < responses_end -> next_response()
  :: give_up(0, cancel0) /* the ack timeout, the deadline, or the caller */
  :: give_up(1, cancel1)
  :: !over && idempotent[0] && ended[0] == pending && begun[0] -> send_again(0, false) /* hedged */
  :: GUARD_TIMERS && !over -> over = true; /* the lease expired, or the own log is sealed: reads to the end once more */
     do
     :: next < responses_end -> next_response()
     :: next >= responses_end -> break
     od
  :: over -> server_lost(0); server_lost(1)
  od
}

#ifdef LIVE
ltl every_call_ends { <> (ended[0] != pending && ended[1] != pending) }
#endif
