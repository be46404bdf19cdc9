/* Durable calls: docs/protocol.md section 10.
 *
 * One durable call, two server instances (three with -DSERVERS=3, which takes long), two processes that hold its ticket, and whoever deletes it: the caller after
 * collecting, or the end of its retention, at any step. Names appear by link(2) only: the call, claim.1, claim.2, started,
 * reply. A server may crash or stop at every step, and its lease may lapse at any step; `lapsed` here is what
 * ack_before.pml checks in detail: once an observer may take a lease for expired, its owner's own check fails.
 *
 * With -DCANCEL there is one who may cancel in place of the second holder of the ticket: both are too much for a search.
 * With -DIDEMPOTENT the method is idempotent: no started record, and it may be executed more than once.
 *
 * Checked: a non-idempotent call is executed at most once, an idempotent one too while nothing fails; a server whose lease
 * had lapsed before it made its last claim on the call does not begin to execute it; a reply that says "not started" is true for ever; everyone who collects gets the
 * same reply; a server that finds the call never waits for ever (no invalid end state; with -DLIVE also, as a formula under
 * weak fairness: if one server lives, a reply is collected).
 */

/* Each guard can be taken out with -DNO_GUARD_...; README.md says what each prevents. */
#ifdef NO_GUARD_PUBLISH_ONCE
#define GUARD_PUBLISH_ONCE 0
#else
#define GUARD_PUBLISH_ONCE 1
#endif
#ifdef NO_GUARD_STARTED
#define GUARD_STARTED 0
#else
#define GUARD_STARTED 1
#endif
#ifdef NO_GUARD_TAKER_LINKS_STARTED
#define GUARD_TAKER_LINKS_STARTED 0
#else
#define GUARD_TAKER_LINKS_STARTED 1
#endif
#ifdef NO_GUARD_READ_AFTER_LINK
#define GUARD_READ_AFTER_LINK 0
#else
#define GUARD_READ_AFTER_LINK 1
#endif
#ifdef NO_GUARD_LOOK_FOR_CALL
#define GUARD_LOOK_FOR_CALL 0
#else
#define GUARD_LOOK_FOR_CALL 1
#endif
#ifdef NO_GUARD_OWN_LEASE
#define GUARD_OWN_LEASE 0
#else
#define GUARD_OWN_LEASE 1
#endif
#ifdef NO_GUARD_FIRST_REPLY
#define GUARD_FIRST_REPLY 0
#else
#define GUARD_FIRST_REPLY 1
#endif
#ifdef NO_GUARD_DELETE_CALL_FIRST
#define GUARD_DELETE_CALL_FIRST 0
#else
#define GUARD_DELETE_CALL_FIRST 1
#endif
#ifdef NO_GUARD_COLLECTOR_LOOKS
#define GUARD_COLLECTOR_LOOKS 0
#else
#define GUARD_COLLECTOR_LOOKS 1
#endif
#ifdef NO_GUARD_CANCELLER_STARTS
#define GUARD_CANCELLER_STARTS 0
#else
#define GUARD_CANCELLER_STARTS 1
#endif
#ifdef NO_GUARD_CANCELLER_LOOKS
#define GUARD_CANCELLER_LOOKS 0
#else
#define GUARD_CANCELLER_LOOKS 1
#endif
#ifdef NO_GUARD_TAKEOVER
#define GUARD_TAKEOVER 0
#else
#define GUARD_TAKEOVER 1
#endif
#ifdef NO_GUARD_LOST_REPLY
#define GUARD_LOST_REPLY 0
#else
#define GUARD_LOST_REPLY 1
#endif

#ifdef IDEMPOTENT
#define NEEDS_STARTED 0
#else
#define NEEDS_STARTED 1
#endif

/* With -DREACH_... the named state is an error: run.sh uses it to see that the model is not vacuous. */
#ifdef REACH_EXECUTED_BY_TAKER
#define AT_EXECUTED(g) assert(g == 0)
#else
#define AT_EXECUTED(g) skip
#endif
#ifdef REACH_LOST_BUT_EXECUTED
#define AT_COLLECTED assert(!(IS_LOST(first) && executions > 0))
#else
#ifdef REACH_COLLECTED_OK
#define AT_COLLECTED assert(!IS_OK(first))
#else
#ifdef REACH_COLLECTED_NOT_STARTED
#define AT_COLLECTED assert(!IS_NOT_STARTED(first))
#else
#define AT_COLLECTED skip
#endif
#endif
#endif
#ifdef REACH_COLLECTED_TWICE
#define AT_COLLECTED_TWICE assert(false)
#else
#define AT_COLLECTED_TWICE skip
#endif
#ifdef REACH_REPLY_TOO_LATE
#define AT_REPLY_TOO_LATE assert(false)
#else
#define AT_REPLY_TOO_LATE skip
#endif
#ifdef REACH_WON_STARTED_AFTER_DELETION
#define AT_CALL_GONE assert(started != id)
#else
#define AT_CALL_GONE skip
#endif

#ifdef REACH_CANCELLED_BEFORE_START
#define AT_CANCELLED assert(false)
#else
#define AT_CANCELLED skip
#endif

#ifndef SERVERS
#define SERVERS 2
#endif

/* The names. A claim and started hold the number of the server that they name; 0: not there. */
bool call;
byte claim[SERVERS];
byte started;
byte reply; /* 0: not there; else kind * 8 + server */

#define NOBODY (SERVERS + 1) /* who cancels; never executes anything */

#define OK 1
#define LOST 2        /* UNAVAILABLE, SERVER_LOST, may_have_executed */
#define NOT_STARTED 3 /* UNAVAILABLE or CANCELLED, certainly not executed */
#define MAKE_REPLY(kind, id) (kind * 8 + id)
#define IS_OK(r) (r / 8 == OK)
#define IS_LOST(r) (r / 8 == LOST)
#define IS_NOT_STARTED(r) (r / 8 == NOT_STARTED)

bool dead[SERVERS + 1];
bool lapsed[SERVERS + 1];
#define EXPIRED(s) (dead[s] || lapsed[s])
#if SERVERS == 3
#define SOMETHING_FAILED (EXPIRED(1) || EXPIRED(2) || EXPIRED(3))
#else
#define SOMETHING_FAILED (EXPIRED(1) || EXPIRED(2))
#endif

byte executions;
byte first; /* the reply that the first to collect it got */

/* link(2) of a complete file that names its maker. A request that was sent again may report an error for its own
 * success. */
inline link_name(name, value) {
  if
  :: atomic { name == 0 -> name = value; done = true }
  :: atomic { name == 0 -> name = value; done = false }
  :: atomic { name != 0 -> done = false }
  fi
}

inline publish_reply(kind) {
  if
  :: atomic { !GUARD_FIRST_REPLY || reply == 0 -> reply = MAKE_REPLY(kind, id) }
  :: atomic { GUARD_FIRST_REPLY && reply != 0 -> AT_REPLY_TOO_LATE } /* somebody else's stands */
  fi
}

/* The last server neither crashes nor lapses with -DLIVE. */
#ifdef LIVE
#define IMMUNE(s) (s == SERVERS)
#else
#define IMMUNE(s) (false)
#endif
#define MAY_CRASH if :: skip :: !IMMUNE(id) -> goto crash fi

proctype Server(byte id) {
  byte generation, who;
  bool done, stale; /* stale: for the assertion only */

end_idle:
  call;
claim_it:
  MAY_CRASH;
  stale = lapsed[id];
  link_name(claim[generation], id);
  MAY_CRASH;
  who = (done -> id : (GUARD_READ_AFTER_LINK -> claim[generation] : 0));
  if
  :: who == id
  :: who == 0 && !GUARD_READ_AFTER_LINK && call -> /* takes any error for somebody else's success */
     if
     :: claim[generation] != id && EXPIRED(claim[generation]) -> goto take_over
     :: reply != 0 -> goto out
     :: !call -> goto out
     fi
  :: who == 0 && (GUARD_READ_AFTER_LINK || !call) -> goto out /* deleted meanwhile */
  :: who != 0 && who != id ->
     if
     :: EXPIRED(who) || !GUARD_TAKEOVER
     :: reply != 0 -> goto out
     :: !call -> goto out
     fi;
take_over:
     generation++;
     goto claim_it
  fi;

  if
  :: NEEDS_STARTED && GUARD_STARTED && (generation == 0 || GUARD_TAKER_LINKS_STARTED) ->
     stale = lapsed[id];
     link_name(started, id);
     MAY_CRASH;
     who = (done -> id : started);
     if
     :: who == id
     :: who == 0 -> goto out
     :: who == NOBODY -> goto was_cancelled
     :: who != 0 && who != id && who != NOBODY -> goto too_late
     fi
  :: NEEDS_STARTED && GUARD_STARTED && generation > 0 && !GUARD_TAKER_LINKS_STARTED ->
     if
     :: atomic { started != 0 && started != NOBODY -> who = started }; goto too_late
     :: started == NOBODY -> goto was_cancelled
     :: started == 0
     fi
  :: else
  fi;

  /* Looks for the call, in the directory opened anew: while it is there, nobody has deleted a started record. */
  if
  :: GUARD_LOOK_FOR_CALL && !call -> AT_CALL_GONE; goto out
  :: call || !GUARD_LOOK_FOR_CALL
  fi;
  if
  :: GUARD_OWN_LEASE && lapsed[id] ->
     if
     :: NEEDS_STARTED -> atomic { publish_reply(NOT_STARTED) }
     :: !NEEDS_STARTED /* whoever takes over executes it */
     fi;
     goto out
  :: !lapsed[id] || !GUARD_OWN_LEASE
  fi;
  MAY_CRASH;
  atomic {
    assert(!stale);
    assert(!NEEDS_STARTED || !IS_NOT_STARTED(reply));
    assert(!NEEDS_STARTED || !IS_NOT_STARTED(first));
    executions++;
    assert(executions <= 1 || !NEEDS_STARTED);
    assert(executions <= 1 || SOMETHING_FAILED);
    AT_EXECUTED(generation)
  };
  MAY_CRASH;
  publish_reply(OK);
  goto out;

too_late: /* another server has started it: it can only be given up */
  if
  :: GUARD_LOST_REPLY && EXPIRED(who) -> publish_reply(LOST)
  :: reply != 0
  :: !call
  :: !GUARD_LOST_REPLY /* just forgets it */
  fi;
  goto out;

was_cancelled: /* whoever cancelled it may have crashed since */
  if
  :: call -> atomic { publish_reply(NOT_STARTED) }
  :: !call
  fi;
  goto out;

crash:
  dead[id] = true;
out:
  skip
}

/* Links `started`, which names nobody, before anybody has started the call; then the reply. Needs no server. */
proctype Canceller() {
  byte id = NOBODY, who;
  bool done;

end_canceller:
  call;
  if
  :: NEEDS_STARTED && GUARD_CANCELLER_STARTS ->
     link_name(started, NOBODY);
     if :: skip :: goto out fi; /* crashes */
     who = (done -> NOBODY : started);
     if
     :: who == NOBODY && (call || !GUARD_CANCELLER_LOOKS) -> AT_CANCELLED; publish_reply(NOT_STARTED)
     :: who == NOBODY && !call && GUARD_CANCELLER_LOOKS /* deleted meanwhile: the name was free again */
     :: who == 0
     :: who != NOBODY && who != 0 -> publish_reply(LOST)
     fi
  :: NEEDS_STARTED && !GUARD_CANCELLER_STARTS -> /* believes what it sees */
     if
     :: started == 0 -> publish_reply(NOT_STARTED)
     :: started != 0 -> publish_reply(LOST)
     fi
  :: !NEEDS_STARTED -> publish_reply(LOST)
  fi;
out:
  skip
}

proctype Lapse(byte id) {
end_lapse:
  if
  :: !IMMUNE(id) -> lapsed[id] = true
  :: skip
  fi
}

/* A holder of the ticket. */
proctype Collector() {
  byte value;
end_collector:
  atomic { reply != 0 -> value = reply };
  atomic {
    if
    :: call || !GUARD_COLLECTOR_LOOKS -> /* looked for after the reply was read */
       if
       :: first == 0 -> first = value; AT_COLLECTED
       :: else -> assert(first == value); AT_COLLECTED_TWICE
       fi
    :: else /* collected and deleted already: NOT_FOUND */
    fi
  }
}

proctype Deleter() {
end_deleter:
  if
  :: first != 0
#ifndef LIVE
  :: call /* the end of its retention */
#endif
  fi;
  if
  :: GUARD_DELETE_CALL_FIRST -> call = false
  :: !GUARD_DELETE_CALL_FIRST
  fi;
  /* Everything else, in any order; what is published later goes with the next round. Anyone may do that. */
end_rest:
  do
  :: atomic { reply != 0 -> reply = 0 }
  :: atomic { started != 0 -> started = 0 }
  :: atomic { claim[0] != 0 -> claim[0] = 0 }
  :: atomic { claim[1] != 0 -> claim[1] = 0 }
#if SERVERS == 3
  :: atomic { claim[2] != 0 -> claim[2] = 0 }
#endif
  :: atomic { call -> call = false }
  od
}

init {
  bool done;
  atomic {
    run Server(1); run Server(2);
    run Lapse(1); run Lapse(2);
#if SERVERS == 3
    run Server(3); run Lapse(3);
#endif
    run Collector(); run Deleter();
#ifdef CANCEL
    run Canceller()
#else
    run Collector()
#endif
  };
  /* The caller publishes its call. After an error it looks whether the name is there: nobody else uses it. */
  if
  :: done = true
  :: done = false
  fi;
  call = true;
  if
  :: done || GUARD_PUBLISH_ONCE
  :: !done && !GUARD_PUBLISH_ONCE -> /* publishes it again under another name; some server executes that */
     atomic { executions++; assert(executions <= 1 || !NEEDS_STARTED) }
  fi
}

#ifdef LIVE
ltl a_reply_is_collected { <> (first != 0) }
#endif
