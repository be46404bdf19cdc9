/* Acknowledgement before execution: docs/protocol.md sections 4 and 5.
 *
 * One call of a method with ack_before_execution, on an accepted session. The old server flushes ACK, checks its own
 * lease, executes. The client lets the server's lease expire, reads the response log once more, and if no ACK is there
 * sends the call to another server. Time is counted in quarters of a term by one clock that both sides' waiting runs on;
 * between two ticks any side may take any number of steps or none, so each may pause at every step, for any time.
 * The lease's and the worker's steps are those of different threads. What the client reads on the way (not the last
 * reading, which opens the log anew) may be stale by any time.
 *
 * Checked: the call is executed at most once; a call reported as safe to send again is never executed by the old server,
 * neither before nor after; a call ends when its server is dead (-DLIVE: a formula under weak fairness; how long a live
 * server that has acknowledged may take is its handler's business).
 */

#define TERM 4
#define LIMIT 3 /* three quarters of a term */

/* Each guard can be taken out with -DNO_GUARD_...; README.md says what each prevents. */
#ifdef NO_GUARD_ACK_FIRST
#define GUARD_ACK_FIRST 0
#else
#define GUARD_ACK_FIRST 1
#endif
#ifdef NO_GUARD_ACK_FLUSHED
#define GUARD_ACK_FLUSHED 0
#else
#define GUARD_ACK_FLUSHED 1
#endif
#ifdef NO_GUARD_OWN_LEASE
#define GUARD_OWN_LEASE 0
#else
#define GUARD_OWN_LEASE 1
#endif
#ifdef NO_GUARD_DOUBT
#define GUARD_DOUBT 0
#else
#define GUARD_DOUBT 1
#endif
#ifdef NO_GUARD_DOUBT_BASE_AFTER_RENEWAL
#define GUARD_DOUBT_BASE_AFTER_RENEWAL 0
#else
#define GUARD_DOUBT_BASE_AFTER_RENEWAL 1
#endif
#ifdef NO_GUARD_DOUBT_BASE_FRESH
#define GUARD_DOUBT_BASE_FRESH 0
#else
#define GUARD_DOUBT_BASE_FRESH 1
#endif
#ifdef NO_GUARD_FROM_BEGIN
#define GUARD_FROM_BEGIN 0
#else
#define GUARD_FROM_BEGIN 1
#endif
#ifdef NO_GUARD_WHOLE_TERM
#define EXPIRY (LIMIT - 1)
#else
#define EXPIRY TERM
#endif
#ifdef NO_GUARD_LAST_READING
#define GUARD_LAST_READING 0
#else
#define GUARD_LAST_READING 1
#endif
#ifdef NO_GUARD_LAST_COUNTER
#define GUARD_LAST_COUNTER 0
#else
#define GUARD_LAST_COUNTER 1
#endif
#ifdef NO_GUARD_DEATH_BEFORE_READING
#define GUARD_DEATH_BEFORE_READING 0
#else
#define GUARD_DEATH_BEFORE_READING 1
#endif
#ifdef NO_GUARD_READABLE
#define GUARD_READABLE 0
#else
#define GUARD_READABLE 1
#endif
#ifdef NO_GUARD_STOP_RENEWING
#define GUARD_STOP_RENEWING 0
#else
#define GUARD_STOP_RENEWING 1
#endif
#ifdef NO_GUARD_EXPIRY
#define GUARD_EXPIRY 0
#else
#define GUARD_EXPIRY 1
#endif

/* With -DREACH_... the named state is an error: run.sh uses it to see that the model is not vacuous. */
#ifdef REACH_RESENT
#define AT_RESENT assert(false)
#else
#define AT_RESENT skip
#endif
#ifdef REACH_RESENT_AFTER_ACK
#define AT_RESENT_LATE(x) assert(!(x))
#else
#define AT_RESENT_LATE(x) skip
#endif
#ifdef REACH_EXECUTED
#define AT_EXECUTED assert(false)
#else
#define AT_EXECUTED skip
#endif
#ifdef REACH_EXECUTED_AFTER_DOUBT
#define AT_EXECUTED_AFTER_DOUBT assert(!was_in_doubt)
#else
#define AT_EXECUTED_AFTER_DOUBT skip
#endif
#ifdef REACH_SERVER_LOST
#define AT_SERVER_LOST assert(false)
#else
#define AT_SERVER_LOST skip
#endif
#ifdef REACH_EXPIRY_CALLED_OFF
#define AT_EXPIRY_CALLED_OFF assert(false)
#else
#define AT_EXPIRY_CALLED_OFF skip
#endif
#ifdef REACH_LOG_GONE
#define AT_LOG_GONE assert(false)
#else
#define AT_LOG_GONE skip
#endif
#ifdef REACH_REPLIED
#define AT_REPLIED assert(false)
#else
#define AT_REPLIED skip
#endif

mtype = { pending, replied, server_lost, resent }; /* how the call ended on this session */
mtype ended = pending;
byte executions;

/* The response log, as a reader sees it that opens it anew. */
bool log_gone;     /* removed under the client (ESTALE) */
bool ack_there;
bool reply_there;
bool counter_news; /* the lease's counter is not the last that the client saw */

/* The client's head, as the server sees it. */
bool client_moved; /* the client renewed since the server's base reading */
bool closed;

/* The server's memory. */
bool server_dead;
byte age;             /* quarters since the last finished renewal began (or finished, without GUARD_FROM_BEGIN) */
byte renewing_for;    /* quarters since the renewal under way began */
bool doubt;           /* the lease lapsed; only the client's moving lease ends that */
bool base;            /* the client's counter was read, to see it move from there */
bool was_in_doubt;    /* for the reachability checks only */

/* The client's memory. */
byte idle; /* quarters without news: accrues at most as fast as time goes by */

/* With -DLIVE the two are on different hosts, and the client's readings are prompt and show what is there. */
#ifdef LIVE
#define KERNEL_SAYS_DEAD false
#else
#define KERNEL_SAYS_DEAD server_dead
#endif

#define CAP(x, limit) x = (x < limit -> x + 1 : x)

active proctype Clock() {
end_clock:
  do
  :: atomic {
       CAP(age, LIMIT);
       CAP(renewing_for, LIMIT);
       if
       :: CAP(idle, TERM)
#ifndef LIVE
       :: skip /* the client's reading was slow or late: the time does not count */
#endif
       fi
     }
  od
}

active proctype ServerLease() {
end_lease:
  do
  :: !server_dead && !closed ->
     renewing_for = 0;                                                      /* looks at its clock */
     atomic { !server_dead -> counter_news = true };                        /* the write arrives */
     atomic {                                                               /* ... and returns */
       !server_dead ->
       if
       :: age >= LIMIT -> doubt = GUARD_DOUBT; was_in_doubt = true;
          if
          :: GUARD_DOUBT_BASE_AFTER_RENEWAL -> base = false
          :: else
          fi
       :: else
       fi;
       age = (GUARD_FROM_BEGIN -> renewing_for : 0)
     }
     /* Reads the client's head, opened anew. */
  :: atomic {
       !server_dead && !base && (doubt || (age >= LIMIT && !GUARD_DOUBT_BASE_AFTER_RENEWAL)) ->
       base = true;
       if
       :: GUARD_DOUBT_BASE_FRESH -> client_moved = false
       :: else
       fi
     }
  :: atomic { !server_dead && doubt && base && client_moved -> doubt = false; base = false }
  :: atomic { !server_dead -> server_dead = true } /* crash */
  od
}

inline check_own_lease() {
  (!server_dead && (!GUARD_OWN_LEASE || (age < LIMIT && !doubt)))
}

inline write_ack() {
  if
  :: atomic { !server_dead && GUARD_ACK_FLUSHED -> ack_there = true }
  :: !server_dead && !GUARD_ACK_FLUSHED /* written back some time later: Writeback */
  fi
}

active proctype ServerWorker() {
end_worker:
  if
  :: GUARD_ACK_FIRST -> write_ack(); check_own_lease()
  :: !GUARD_ACK_FIRST -> check_own_lease(); write_ack()
  fi;
  atomic {
    !server_dead ->
    assert(ended != resent);
    executions++;
    assert(executions <= 1);
    AT_EXECUTED;
    AT_EXECUTED_AFTER_DOUBT
  };
  atomic { !server_dead -> reply_there = true; ack_there = true }
}

#ifdef NO_GUARD_ACK_FLUSHED
active proctype Writeback() {
end_writeback:
  ack_there = true
}
#endif

active proctype Remover() { /* someone removes the response log under the client */
end_remover:
  if
  :: log_gone = true
  :: skip
  fi
}

#ifdef NO_GUARD_STOP_RENEWING
active proctype ClientRenewer() { /* another thread of the client's, that knows nothing of the expiry */
end_renewer:
  do
  :: !closed -> client_moved = true
  od
}
#endif

/* Another server gets the call, and executes it as soon as it can. */
inline send_again() {
  atomic {
    ended = resent;
    assert(executions == 0);
    executions++;
    AT_RESENT;
    AT_RESENT_LATE(ack_there)
  }
}

inline readings(here, acknowledged, news) {
  /* The head and the log are not read at one moment, and either may be first. */
  if
  :: news = counter_news; here = !log_gone; acknowledged = ack_there
  :: here = !log_gone; acknowledged = ack_there; news = counter_news
  fi
}

active proctype Client() {
  bool here, acknowledged, news, ack_seen, known_dead;

  do
  :: ended != pending -> break
     /* An ordinary reading: the latest, or something older that is still news, or nothing new. */
  :: atomic {
       ended == pending && !log_gone && counter_news -> idle = 0;
       if
       :: counter_news = false
#ifndef LIVE
       :: skip
#endif
       fi
     }
  :: atomic { ended == pending && !log_gone && ack_there && !ack_seen -> ack_seen = true; idle = 0 }
  :: atomic { ended == pending && !log_gone && reply_there -> ended = replied; AT_REPLIED }
  :: atomic { ended == pending && !client_moved -> client_moved = true } /* renews its own lease */
     /* Expired, or the kernel says that the process is gone. */
  :: atomic { GUARD_EXPIRY && ended == pending && (idle >= EXPIRY || KERNEL_SAYS_DEAD) -> known_dead = KERNEL_SAYS_DEAD };
     if
     :: GUARD_LAST_READING -> readings(here, acknowledged, news)
     :: !GUARD_LAST_READING -> here = true; acknowledged = ack_seen; news = false
     fi;
     if
     :: GUARD_DEATH_BEFORE_READING
     :: !GUARD_DEATH_BEFORE_READING -> known_dead = KERNEL_SAYS_DEAD
     fi;
     if
     :: !here && GUARD_READABLE -> atomic { ended = server_lost; AT_LOG_GONE }
     :: !here && !GUARD_READABLE && !ack_seen -> send_again()
     :: !here && !GUARD_READABLE && ack_seen -> ended = server_lost
     :: here && news && !known_dead && GUARD_LAST_COUNTER ->
        atomic { counter_news = false; idle = 0; AT_EXPIRY_CALLED_OFF }
     :: here && !(news && !known_dead && GUARD_LAST_COUNTER) && acknowledged ->
        atomic { ended = server_lost; AT_SERVER_LOST }
     :: here && !(news && !known_dead && GUARD_LAST_COUNTER) && !acknowledged -> send_again()
     fi;
     here = false; acknowledged = false; news = false; known_dead = false
  od;
  closed = true
}

#ifdef LIVE
ltl a_dead_server_ends_the_call { (<> server_dead) -> (<> (ended != pending)) }
#endif
