/* Acceptance against withdrawal: docs/protocol.md sections 3 and 9.
 *
 * One call of a non-idempotent method. The client offers it to server 0, and if that session is certainly withdrawn, in
 * a new session to server 1. Session i is the one offered to server i. Nothing here knows any time: every timer may run
 * out at any step, every process may stop for ever (a crash) or as long as it likes, the collector may believe anyone
 * dead at any step, and looking for a name may miss one that has only just appeared.
 *
 * Checked: the call is executed at most once; once NO_SERVER was reported it was not and will not be executed; the call
 * ends (there is no invalid end state; with -DLIVE also as a formula under weak fairness).
 */

/* Each guard can be taken out with -DNO_GUARD_...; README.md says what each prevents. */
#ifdef NO_GUARD_WITHDRAW
#define GUARD_WITHDRAW 0
#else
#define GUARD_WITHDRAW 1
#endif
#ifdef NO_GUARD_ACCEPT_FIRST
#define GUARD_ACCEPT_FIRST 0
#else
#define GUARD_ACCEPT_FIRST 1
#endif
#ifdef NO_GUARD_SERVER_READS_VERDICT
#define GUARD_SERVER_READS_VERDICT 0
#else
#define GUARD_SERVER_READS_VERDICT 1
#endif
#ifdef NO_GUARD_CLIENT_READS_VERDICT
#define GUARD_CLIENT_READS_VERDICT 0
#else
#define GUARD_CLIENT_READS_VERDICT 1
#endif
#ifdef NO_GUARD_SERVER_LOOKS_AFTER_LINK
#define GUARD_SERVER_LOOKS_AFTER_LINK 0
#else
#define GUARD_SERVER_LOOKS_AFTER_LINK 1
#endif
#ifdef NO_GUARD_CLIENT_LOOKS_AFTER_LINK
#define GUARD_CLIENT_LOOKS_AFTER_LINK 0
#else
#define GUARD_CLIENT_LOOKS_AFTER_LINK 1
#endif
#ifdef NO_GUARD_VERDICT_STAYS
#define GUARD_VERDICT_STAYS 0
#else
#define GUARD_VERDICT_STAYS 1
#endif
#ifdef NO_GUARD_RMDIR
#define GUARD_RMDIR 0
#else
#define GUARD_RMDIR 1
#endif
#ifdef NO_GUARD_ONCE
#define GUARD_ONCE 0
#else
#define GUARD_ONCE 1
#endif
#ifdef NO_GUARD_UNKNOWN
#define GUARD_UNKNOWN 0
#else
#define GUARD_UNKNOWN 1
#endif
#ifdef NO_GUARD_WAIT_TIMER
#define GUARD_WAIT_TIMER 0
#else
#define GUARD_WAIT_TIMER 1
#endif

/* With -DREACH_... the named state is an error: run.sh uses it to see that the model is not vacuous. */
#ifdef REACH_NO_SERVER
#define AT_NO_SERVER assert(false)
#else
#define AT_NO_SERVER skip
#endif
#ifdef REACH_EXECUTED_BY_FIRST
#define AT_EXECUTED_BY_FIRST(i) assert(i != 0)
#else
#define AT_EXECUTED_BY_FIRST(i) skip
#endif
#ifdef REACH_EXECUTED_BY_SECOND
#define AT_EXECUTED_BY_SECOND(i) assert(i != 1)
#else
#define AT_EXECUTED_BY_SECOND(i) skip
#endif
#ifdef REACH_WITHDRAWAL_LOST
#define AT_WITHDRAWAL_LOST assert(false)
#else
#define AT_WITHDRAWAL_LOST skip
#endif
#ifdef REACH_DIRECTORY_GONE
#define AT_DIRECTORY_GONE assert(false)
#else
#define AT_DIRECTORY_GONE skip
#endif
#ifdef REACH_EXECUTED_BUT_UNKNOWN
#define AT_UNKNOWN assert(executions == 0)
#else
#define AT_UNKNOWN skip
#endif

mtype = { absent, accepted, withdrawn, refused };               /* what verdicts/SESSION holds */
mtype = { pending, replied, no_server, ack_timeout, server_lost }; /* how the call ended */

bool half[2];              /* sessions/SESSION, the first CALL in its log, is there */
bool announced[2];         /* was announced once: a listing, stale or not, may show it at any time after */
bool directory[2] = true;  /* servers/SERVER with its verdicts/ is there */
mtype verdict[2] = absent;
bool reply[2];
byte executions;
mtype ended = pending;
bool client_crashed;

/* How often a server may come upon the announcement. */
#ifdef LIVE
#define LOOKS 1
#else
#define LOOKS 2
#endif

/* link(2) of a prepared record. On a network file system a request that was sent again may report an error for its own
 * success; and an error may also have had no effect at all (EIO, ENOSPC). */
inline link_verdict(i, what, done) {
  if
  :: atomic { directory[i] && verdict[i] == absent -> verdict[i] = what; done = true }
  :: atomic { directory[i] && verdict[i] == absent -> verdict[i] = what; done = false }
  :: done = false
  fi
}

/* What is under the name now; or not yet, in a stale view. */
inline read_verdict(i, seen) {
  if
  :: seen = verdict[i]
  :: seen = absent
  fi
}

proctype Server(byte i) {
  mtype mine, seen;
  bool done, dealt;
  byte looks;

end_idle:
  do
  :: atomic { announced[i] && looks < LOOKS -> looks++; seen = absent; done = false }
     if
     :: GUARD_ONCE && dealt -> goto forget
     :: else -> dealt = true
     fi;
     /* Opens the client's half and checks it. */
     if
     :: half[i]
     :: !half[i] -> goto forget
     fi;
     if
     :: !GUARD_ACCEPT_FIRST -> goto serve
     :: GUARD_ACCEPT_FIRST
     fi;
     if
     :: mine = accepted
     :: mine = refused
     fi;
     link_verdict(i, mine, done);
     if
     :: done -> seen = mine
     :: !done && GUARD_SERVER_READS_VERDICT -> read_verdict(i, seen)
     :: !done && !GUARD_SERVER_READS_VERDICT -> seen = mine
     fi;
     if
     :: mine == accepted && seen == accepted
     :: else -> goto forget
     fi;
     /* Opens the client's log again, by its path; only what it opens now may it read. */
     if
     :: GUARD_SERVER_LOOKS_AFTER_LINK && !half[i] -> goto forget
     :: half[i] || !GUARD_SERVER_LOOKS_AFTER_LINK
     fi;
serve:
     atomic {
       assert(ended != no_server);
       executions++;
       assert(executions <= 1);
       AT_EXECUTED_BY_FIRST(i);
       AT_EXECUTED_BY_SECOND(i)
     };
     reply[i] = true;
forget:
     skip
  :: break /* crash, or the end of the process */
  od
}

/* Whoever removes what is left of session i: its server, the client, another server that believes either of them dead,
 * rightly or not. Names are never used twice, so what is gone stays gone. */
proctype Collector(byte i) {
end_idle:
  do
  :: atomic { half[i] -> half[i] = false }
  :: atomic { verdict[i] != absent && (!half[i] || !GUARD_VERDICT_STAYS) -> skip };
     verdict[i] = absent
  :: directory[i] && verdict[i] == absent ->
     if
     :: atomic { GUARD_RMDIR && verdict[i] == absent -> directory[i] = false }
     :: GUARD_RMDIR && verdict[i] != absent /* ENOTEMPTY: left for the next round */
     :: atomic { !GUARD_RMDIR -> verdict[i] = absent; directory[i] = false }
     fi
  od
}

#define MAY_CRASH if :: skip :: goto crashed fi

active proctype Client() {
  byte i;
  mtype seen;
  bool done, tried_again;

  atomic {
    run Server(0); run Server(1); run Collector(0);
#ifndef LIVE
    run Collector(1)
#endif
  };

offer:
  half[i] = true;
  MAY_CRASH;
  if
  :: atomic { directory[i] -> announced[i] = true }
  :: !directory[i]
  fi;
  MAY_CRASH;
  if
  :: verdict[i] == accepted -> goto live
  :: verdict[i] == refused -> goto next
  :: GUARD_WAIT_TIMER && GUARD_WITHDRAW /* a third of the ack timeout, or the server is known to be dead */
  :: GUARD_WAIT_TIMER && !GUARD_WITHDRAW -> goto next
  fi;

withdraw:
  link_verdict(i, withdrawn, done);
  MAY_CRASH;
  if
  :: done -> seen = withdrawn
  :: !done && GUARD_CLIENT_READS_VERDICT -> read_verdict(i, seen)
  :: !done && !GUARD_CLIENT_READS_VERDICT -> seen = withdrawn
  fi;
  if
  :: seen == accepted -> AT_WITHDRAWAL_LOST; goto live
  :: seen == refused -> goto next
  :: seen == withdrawn
  :: seen == absent && !directory[i] -> AT_DIRECTORY_GONE
  :: seen == absent && directory[i] ->
     if
     :: !tried_again -> tried_again = true; goto withdraw
     :: true -> goto unknown
     fi
  fi;
  /* Looks for its own half after the link: while that is there, nobody has removed a verdict. */
  if
  :: half[i] || !GUARD_CLIENT_LOOKS_AFTER_LINK -> goto next
  :: !half[i] && GUARD_CLIENT_LOOKS_AFTER_LINK -> goto unknown
  fi;

next: /* certainly not executed, and never will be */
  MAY_CRASH;
  if
  :: atomic { i == 0 -> i = 1; done = false; seen = absent; tried_again = false }; goto offer
  :: atomic {
       ended = no_server; /* the ack timeout is over */
       assert(executions == 0);
       AT_NO_SERVER
     }; goto done_
  fi;

unknown:
  if
  :: atomic { GUARD_UNKNOWN -> ended = ack_timeout; AT_UNKNOWN }; goto done_
  :: !GUARD_UNKNOWN -> goto next
  fi;

live:
  if
  :: reply[i] -> ended = replied
  :: ended = ack_timeout
  :: ended = server_lost /* never sent again: resend.pml */
  fi;
  goto done_;

crashed:
  client_crashed = true;
done_:
  skip
}

#ifdef LIVE
ltl every_call_ends { <> (ended != pending || client_crashed) }
#endif
