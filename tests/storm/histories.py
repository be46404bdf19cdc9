"""What the processes of a storm have noted, read back.

Each process has a file of its own. A line is `WHAT TIME FIELD...`: TIME in nanoseconds by the clock that all processes of
a host share, "-" an empty field. storm_calls.h and storm_service.h say what clients and servers note. The storm itself
notes, in storm.log:

  seed TIME SEED                           once
  start TIME PROCESS PID TERM              c7i2 is client 7 in its 2nd life, s0i1 server 0 in its first; its lease, seconds
  kill TIME PROCESS                        kill -9
  stop TIME PROCESS, cont TIME PROCESS     SIGSTOP and SIGCONT
  leave TIME PROCESS                       SIGTERM: a server drains, a client ends when its calls have
  exit TIME PROCESS STATUS                 it has ended: its exit status, or minus the signal
  hang TIME PROCESS                        it has not, though it should have long ago
  freeze TIME, thaw TIME                   the file system of the spool stalled in between
  damage TIME WHAT CLIENT SERVER TICKET PATH HOW
                                           bytes of a file were changed: a file of the session between that client and
                                           that server, or of the durable call of that ticket
  gc TIME STATUS                           `spoolrpc gc` has ended, after everything else had
  left TIME PATH                           that was there afterwards
  end TIME                                 once
"""

import os

# spoolrpc.ErrorInfo.Reason: written down once more, so that the checker shares nothing with the runtime.
NO_SERVER, ACK_TIMEOUT, SERVER_LOST, SESSION_CORRUPT, VERSION_MISMATCH, SPOOL_UNUSABLE = 1, 2, 3, 4, 5, 6
NOT_STARTED, FILE_SYSTEM = 9, 11
DEADLINE, NOT_FINISHED, NO_SUCH_TICKET = 12, 14, 15
REASONS = {0: "the handler's", 1: "NO_SERVER", 2: "ACK_TIMEOUT", 3: "SERVER_LOST", 4: "SESSION_CORRUPT",
           5: "VERSION_MISMATCH", 6: "SPOOL_UNUSABLE", 7: "MESSAGE_TOO_LARGE", 8: "BAD_MESSAGE", 9: "NOT_STARTED",
           10: "DISCARDED", 11: "FILE_SYSTEM", 12: "DEADLINE", 13: "CANCELLED", 14: "NOT_FINISHED",
           15: "NO_SUCH_TICKET", 16: "PERMISSION_DENIED"}
# absl::StatusCode.
OK, CANCELLED, DEADLINE_EXCEEDED, DATA_LOSS = 0, 1, 4, 15


class Ending:
    """How a call, a submission or a collection ended."""

    def __init__(self, time, code, reason, may, execution, reply, messages, text):
        self.time, self.code, self.reason, self.may = time, int(code), int(reason), may == "1"
        self.execution, self.reply, self.messages, self.text = execution, reply, int(messages), text

    def kind(self):
        """For counts and messages."""
        if self.code == OK:
            return "OK"
        if self.reason == 0:
            return "handler's"
        return REASONS.get(self.reason, str(self.reason)) + ("?" if self.may else "")

    def certainly_not_executed(self):
        return self.code != OK and self.reason not in (0, NOT_FINISHED, NO_SUCH_TICKET) and not self.may

    def __str__(self):
        return f"{self.kind()} (code {self.code}, {self.text})"


class Call:
    """One call: an ordinary one, or a durable one with its ticket."""

    def __init__(self, name, kind, begun, request, timeout, ack_timeout, handler, replies):
        self.name, self.kind, self.begun, self.request = name, kind, begun, request
        self.timeout, self.ack_timeout, self.handler = int(timeout) / 1e3, int(ack_timeout) / 1e3, int(handler) / 1e3
        self.replies = int(replies)
        self.end = None  # of a durable call: of its submission
        self.ticket = None

    client = property(lambda self: self.name.split(".")[0])
    durable = property(lambda self: self.kind.startswith("durable"))
    idempotent = property(lambda self: self.kind.endswith("Again"))


class Execution:
    def __init__(self, name, call, server, began, request):
        self.name, self.call, self.server, self.began, self.request = name, call, server, began, request
        self.code = self.reply = None  # until it has made its reply


class Damage:
    def __init__(self, time, what, client, server, ticket, path, how):
        self.time, self.what, self.client, self.server = time, what, client, server
        self.ticket, self.path, self.how = ticket, path, how


class Histories:
    """Everything, by what it is about. A torn last line is not there: its writer was killed at it."""

    def __init__(self):
        self.calls = {}  # name -> Call
        self.executions = {}  # name of the call -> [Execution]
        self.by_execution = {}
        self.collections = {}  # ticket -> [Ending, with .name: of which call it was the reply]
        self.open_collections = {}  # (client, ticket) -> how many have begun and not ended
        self.deletes = {}  # ticket -> when the first one began
        self.orphans = []
        self.finished = set()  # clients whose calls have all ended
        self.starts, self.kills, self.leaves, self.exits, self.hangs = {}, [], [], {}, []
        self.ends = {}  # process -> when
        self.stops, self.freezes = {}, []  # process -> [[begin, end]], [[begin, end]]
        self.damages = []
        self.gc = None
        self.left = []
        self.seed = None
        self.ended = False
        self.unknown = []

    def take(self, process, line):
        what, time, *fields = line.split(" ")
        take = getattr(self, "take_" + what, None)
        if what in ("exec", "end"):
            take = {"exec": self.take_execution, "end": self.take_ending}[what]
        if take is None:
            self.unknown.append(f"{process}: {line}")
            return
        take(process, int(time), *("" if field == "-" else field for field in fields))

    # What clients note.
    def take_begin(self, process, time, name, kind, request, timeout, ack_timeout, handler, replies):
        self.calls[name] = Call(name, kind, time, request, timeout, ack_timeout, handler, replies)

    def take_ending(self, process, time, *fields):
        if process == "storm":
            self.ended = True
        else:
            name, code, reason, may, execution, reply, messages, text = fields
            self.calls[name].end = Ending(time, code, reason, may, execution, reply, messages, text)

    def take_submit(self, process, time, name, kind, request, handler):
        self.calls[name] = Call(name, kind, time, request, 0, 0, handler, 0)

    def take_ticket(self, process, time, name, ticket):
        self.calls[name].ticket = ticket
        self.calls[name].end = Ending(time, OK, 0, "0", "", "", 0, "")

    def take_unsubmitted(self, process, time, name, code, reason, may, text):
        self.calls[name].end = Ending(time, code, reason, may, "", "", 0, text)

    def take_collect(self, process, time, ticket):
        self.open_collections[process, ticket] = self.open_collections.get((process, ticket), 0) + 1

    def take_collected(self, process, time, ticket, code, reason, may, name, execution, reply, text):
        self.open_collections[process, ticket] -= 1
        ending = Ending(time, code, reason, may, execution, reply, 1, text)
        ending.name = name
        self.collections.setdefault(ticket, []).append(ending)

    def take_delete(self, process, time, ticket):
        self.deletes[ticket] = min(time, self.deletes.get(ticket, time))

    def take_deleted(self, process, time, ticket, code, reason):
        pass

    def take_orphan(self, process, time, ticket):
        self.orphans.append(ticket)

    def take_finished(self, process, time):
        self.finished.add(process)

    # What servers note.
    def take_execution(self, process, time, call, name, request):
        execution = Execution(name, call, process, time, request)
        self.executions.setdefault(call, []).append(execution)
        self.by_execution[name] = execution

    def take_made(self, process, time, call, name, code, reply):
        self.by_execution[name].code, self.by_execution[name].reply = int(code), reply

    # What the storm notes.
    def take_seed(self, process, time, seed):
        self.seed = seed

    def take_start(self, process, time, name, pid, term):
        self.starts[name] = float(term)

    def take_kill(self, process, time, name):
        self.kills.append(name)

    def take_leave(self, process, time, name):
        self.leaves.append(name)

    def take_stop(self, process, time, name):
        self.stops.setdefault(name, []).append([time, None])

    def take_cont(self, process, time, name):
        self.stops[name][-1][1] = time

    def take_exit(self, process, time, name, status):
        self.exits[name] = int(status)
        self.ends[name] = time

    def take_hang(self, process, time, name):
        self.hangs.append(name)

    def take_freeze(self, process, time):
        self.freezes.append([time, None])

    def take_thaw(self, process, time):
        self.freezes[-1][1] = time

    def take_damage(self, process, time, *fields):
        self.damages.append(Damage(time, *fields))

    def take_gc(self, process, time, status):
        self.gc = int(status)

    def take_left(self, process, time, path):
        self.left.append(path)


def read(directory):
    """The histories in `directory`: NAME.log is that of process NAME."""
    histories = Histories()
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".log"):
            continue
        with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.endswith("\n"):
                    histories.take(name[:-4], line[:-1])
    return histories
