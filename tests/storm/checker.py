#!/usr/bin/env python3
"""checker.py DIRECTORY [--slack SECONDS]: looks through the histories of a storm for a promise that was broken.

It shares no code with what it checks: what was promised (docs/protocol.md) is written down here once more, as rules over
the histories alone. Prints a summary, then a line for each violation, and ends with status 1 if there is any.
"""

import argparse
import collections
import re
import sys

from histories import (ACK_TIMEOUT, CANCELLED, DATA_LOSS, DEADLINE, DEADLINE_EXCEEDED, FILE_SYSTEM, NO_SERVER,
                       NO_SUCH_TICKET, NOT_FINISHED, NOT_STARTED, OK, SERVER_LOST, SESSION_CORRUPT, SPOOL_UNUSABLE, VERSION_MISMATCH, read)

# The longest lease of a storm's processes, in seconds; who looks at it adds a fifth at most.
LONGEST_TERM = 2.0
LOST_AFTER = 1.2 * LONGEST_TERM
ATTEMPTS = 3  # storm.proto
# How long after a file of a session was damaged one of its ends may still find that.
DAMAGE_LASTS = 60.0
# A server that was silent for 6 of its terms is taken for dead, and ends with status 1 when it finds that out, soon. So
# many of its terms it must have been stopped, or the file system stalled (the rest is how seldom it renews).
TAKEN_FOR_DEAD_AFTER, FINDS_OUT = 4, 15.0
SESSION = re.compile(r"sessions/[0-9a-f]{32}/")
# Of a spool that nobody uses: its own names, and the servers' newest logs (and of those that were killed as they came
# up, before they had removed older ones).
CONSTANT = re.compile(r"(format|servers|sessions|durable|logs|durable/retention|logs/[0-9a-f]{32}\.log)")
MOST_LOGS = 13


def overlap(begin, end, intervals):
    """Seconds of begin..end, in nanoseconds, that are within the intervals; one without an end lasts."""
    total = 0
    for first, last in intervals:
        total += max(0, min(end, end if last is None else last) - max(begin, first))
    return total / 1e9


class Checker:
    def __init__(self, histories, slack):
        self.histories, self.slack = histories, slack
        self.violations = []
        self.excused = collections.Counter()
        self.latest = (0.0, "")
        self.killed = set(histories.kills)
        self.server_stops = [interval for name, stops in histories.stops.items() if name.startswith("s")
                             for interval in stops]
        self.damages_of_client = collections.defaultdict(list)
        self.damages_of_ticket = collections.defaultdict(list)
        for damage in histories.damages:
            self.damages_of_client[damage.client].append(damage)
            self.damages_of_ticket[damage.ticket].append(damage)

    def violated(self, rule, what):
        self.violations.append(f"{rule}: {what}")

    def check(self):
        for line in self.histories.unknown:
            self.violated("not a history", line)
        if not self.histories.ended:
            self.violated("not a history", "the storm's own has no end")
        for call in self.histories.calls.values():
            self.check_executions(call)
            self.check_end(call)
            if call.durable:
                self.check_durable(call)
        for name in self.histories.executions:
            if name not in self.histories.calls:
                self.violated("a call that nobody made", name)
        self.check_orphans()
        self.check_processes()
        self.check_files()
        self.check_that_it_shows_something()

    def executions(self, call):
        return self.histories.executions.get(call.name, [])

    def session_damages(self, call):
        """Damages of sessions of the call's client that it may have met: those of which the storm could tell whose they
        were, and of the others the one whose session the end names."""
        end = call.end.time if call.end else float("inf")
        unknown = [damage for damage in self.damages_of_client[""]
                   if call.end and (session := SESSION.search(damage.path)) and session.group() in call.end.text]
        return [damage for damage in self.damages_of_client[call.client] + unknown
                if call.begun - DAMAGE_LASTS * 1e9 <= damage.time <= end]

    def check_executions(self, call):
        executions = self.executions(call)
        if len(executions) > 1 and not call.idempotent:
            self.violated("executed twice", f"{call.name} ({call.kind}): "
                          + ", ".join(execution.name for execution in executions))
        for execution in executions:
            if execution.request != call.request:
                self.violated("wrong request", f"{call.name} ({call.kind}) in {execution.name}")

    # The end of an ordinary call, or of a durable one's submission.
    def check_end(self, call):
        end = call.end
        if end is None:
            if call.client not in self.killed:
                self.violated("a call without an end", f"{call.name} ({call.kind})")
            return
        self.check_status(call, end)
        self.check_time(call, end)
        if call.durable:
            if end.code != OK:
                self.violated("a durable call that was not taken", f"{call.name}: {end}")
        else:
            self.check_reason(call, end)

    def check_status(self, call, end):
        """Whatever ended it, for any caller: what the status says of executions, and the reply."""
        executions = self.executions(call)
        if executions and (end.certainly_not_executed() or (end.reason == NO_SERVER and not call.idempotent)):
            self.violated("executed, its caller was told otherwise", f"{call.name} ({call.kind}): {end}; by "
                          + ", ".join(execution.name for execution in executions))

    def check_reply(self, call, end):
        made = self.histories.by_execution.get(end.execution)
        if made is None or made.call != call.name or made.code != OK or made.reply != end.reply:
            self.violated("wrong reply", f"{call.name} ({call.kind}) from {end.execution or 'nobody'}")
        elif call.kind == "Expand" and end.messages != call.replies:
            self.violated("wrong reply", f"{call.name}: {end.messages} messages instead of {call.replies}")

    def check_reason(self, call, end):
        late = call.timeout > 0 and (end.time - call.begun) / 1e9 >= call.timeout
        if end.code == OK:
            if call.kind == "Expand" and call.replies == 0:
                if not any(execution.code == OK for execution in self.executions(call)):
                    self.violated("wrong reply", f"{call.name}: nobody made it")
            else:
                self.check_reply(call, end)
        elif end.reason == 0:
            # The handler's own, or its server's that found the deadline passed.
            if not any(execution.code == end.code for execution in self.executions(call)) and not (
                    late and end.code in (DEADLINE_EXCEEDED, CANCELLED)):
                self.violated("wrong reply", f"{call.name} ({call.kind}): {end}, and no handler said so")
        elif end.reason == DEADLINE:
            if not late:
                self.violated("ended before its deadline", f"{call.name} ({call.kind}): {end}")
        elif end.reason not in (NO_SERVER, ACK_TIMEOUT, SERVER_LOST, NOT_STARTED):
            damages = self.session_damages(call)
            if end.reason in (SESSION_CORRUPT, FILE_SYSTEM, SPOOL_UNUSABLE) and damages:
                self.excused[f"{end.kind()}, its session damaged"] += 1
            else:
                self.violated("an end that nothing explains", f"{call.name} ({call.kind}): {end}")

    def check_time(self, call, end):
        bound = (call.ack_timeout + call.handler + LOST_AFTER) * (ATTEMPTS if call.idempotent else 1)
        if call.durable:
            bound = 0.0
        paused = (overlap(call.begun, end.time, self.histories.stops.get(call.client, []))
                  + overlap(call.begun, end.time, self.histories.freezes))
        if call.timeout > 0 and call.timeout < bound:
            bound = call.timeout
        else:
            paused += overlap(call.begun, end.time, self.server_stops)
        late = (end.time - call.begun) / 1e9 - bound - paused
        self.latest = max(self.latest, (late, f"{call.name} ({call.kind}): {end}"))
        if late > self.slack:
            self.violated("a call without an end in time", f"{call.name} ({call.kind}), {late:.1f} s late: {end}")

    def check_durable(self, call):
        if call.ticket is None:
            return
        damages = self.damages_of_ticket[call.ticket]
        results, last = [], None
        for end in self.histories.collections.get(call.ticket, []):
            last = end
            deleted = self.histories.deletes.get(call.ticket)
            if end.reason == NOT_FINISHED:
                continue
            if end.reason == NO_SUCH_TICKET:
                if deleted is None or deleted > end.time:
                    self.violated("a durable call was lost", f"{call.name} ({call.ticket}): {end}")
                continue
            self.check_status(call, end)
            # (Damage may look like another version of the format.)
            if ((end.code == DATA_LOSS and end.reason in (0, SESSION_CORRUPT)) or end.reason == VERSION_MISMATCH) and any(
                    damage.time <= end.time for damage in damages):
                self.excused[f"{end.kind()} of a durable call, its files damaged"] += 1
                results.append(end)
                continue
            self.check_durable_end(call, end)
            results.append(end)
        if not results:
            self.violated("a durable call was lost", f"{call.name} ({call.ticket}): {last or 'never collected'}")
        replies = {(end.code, end.reason, end.execution, end.reply) for end in results
                   if (end.code != DATA_LOSS and end.reason != VERSION_MISMATCH) or not damages}
        if len(replies) > 1:
            self.violated("a durable call has several replies", f"{call.name} ({call.ticket}): "
                          + ", ".join(f"{end} from {end.execution}" for end in results))

    def check_durable_end(self, call, end):
        if end.code == OK:
            if end.name != call.name:
                self.violated("wrong reply", f"{call.name} ({call.ticket}): that of {end.name}")
            else:
                self.check_reply(call, end)
        elif end.reason == 0:
            if not any(execution.code == end.code for execution in self.executions(call)):
                self.violated("wrong reply", f"{call.name} ({call.ticket}): {end}, and no handler said so")
        elif end.reason not in (SERVER_LOST, NOT_STARTED) or call.idempotent:
            self.violated("a durable call ended as none may", f"{call.name} ({call.kind}, {call.ticket}): {end}")

    # Durable calls in the spool whose tickets nobody has noted: their callers were killed at it.
    def check_orphans(self):
        unnoted = {call.name for call in self.histories.calls.values()
                   if call.durable and call.end is None and call.client in self.killed}
        seen = 0
        for ticket in self.histories.orphans:
            ends = self.histories.collections.get(ticket, [])
            if ticket in self.histories.deletes and all(end.reason == NO_SUCH_TICKET for end in ends):
                continue  # half deleted
            seen += 1
            for end in ends:
                if end.reason == NOT_FINISHED:
                    self.violated("a durable call was lost", f"{ticket}, of a caller that was killed: {end}")
                if end.code == OK and end.name not in unnoted:
                    self.violated("a durable call that nobody made", f"{ticket} of {end.name}")
                if end.name in self.histories.calls:
                    self.check_durable_end(self.histories.calls[end.name], end)
        if seen > len(unnoted):
            self.violated("a durable call that nobody made",
                          f"{seen} in the spool, and {len(unnoted)} whose callers were killed")

    def taken_for_dead(self, name):
        end = self.histories.ends[name]
        silences = self.histories.stops.get(name, []) + self.histories.freezes
        return (name.startswith("s") and self.histories.exits[name] == 1
                and overlap(end - FINDS_OUT * 1e9, end, silences)
                >= TAKEN_FOR_DEAD_AFTER * self.histories.starts[name])

    def check_processes(self):
        for name in self.histories.hangs:
            self.violated("a process that does not end", name)
        for name in self.histories.starts:
            status = self.histories.exits.get(name)
            if status is None:
                self.violated("a process whose end nobody saw", name)
            elif self.taken_for_dead(name):
                self.excused["servers that others took for dead, after a long stop"] += 1
            elif status != 0 and not (name in self.killed and status == -9):
                self.violated("a process that failed", f"{name}: status {status}")
            elif status == 0 and name not in self.histories.leaves:
                self.violated("a process that ended by itself", name)
            elif status == 0 and not name.startswith("s") and name not in self.histories.finished:
                self.violated("a process that failed", f"{name} has not noted its end")

    def check_files(self):
        logs = 0
        for path in self.histories.left:
            if not CONSTANT.fullmatch(path):
                self.violated("a file was left", path)
            logs += path.startswith("logs/")
        if logs > MOST_LOGS:
            self.violated("a file was left", f"{logs} logs of servers")
        if self.histories.gc is None:
            self.violated("not a history", "nobody has looked what was left")
        elif self.histories.gc != 0:
            self.violated("a file was left", f"spoolrpc gc ended with status {self.histories.gc}")

    def check_that_it_shows_something(self):
        ends = self.counts()
        for kind in ("Append", "Again", "AckFirst", "Expand", "durableAppend", "durableAgain"):
            if not ends[kind].get("OK"):
                self.violated("shows nothing", f"no call of {kind} has ended with OK")

    def counts(self):
        """kind -> how it ended -> how often; of a durable call with a ticket: its last result."""
        ends = collections.defaultdict(collections.Counter)
        for call in self.histories.calls.values():
            end = call.end
            if call.durable and call.ticket is not None:
                results = [one for one in self.histories.collections.get(call.ticket, [])
                           if one.reason not in (NOT_FINISHED, NO_SUCH_TICKET)]
                end = results[0] if results else None
            ends[call.kind][end.kind() if end else "killed"] += 1
        return ends

    def summary(self):
        histories = self.histories
        lines = []
        for kind, ends in sorted(self.counts().items()):
            lines.append(f"{sum(ends.values())} calls of {kind}: "
                         + ", ".join(f"{count} {end}" for end, count in ends.most_common()))
        executions = sum(len(of_call) for of_call in histories.executions.values())
        kinds = collections.Counter("server" if name.startswith("s") else "client" for name in histories.kills)
        beyond = sum(1 for stops in histories.stops.values() for begin, end in stops
                     if end is not None and (end - begin) / 1e9 > LONGEST_TERM)
        stops = sum(len(stops) for stops in histories.stops.values())
        frozen = sum((end or begin) - begin for begin, end in histories.freezes) / 1e9
        damages = collections.Counter(damage.what for damage in histories.damages)
        lines.append(f"{executions} executions; {len(histories.orphans)} durable calls of callers that were killed at it")
        lines.append(f"{len(histories.kills)} kills ({kinds['server']} of servers, {kinds['client']} of clients), "
                     f"{stops} stops ({beyond} beyond the longest lease), {len(histories.leaves)} ends in order, "
                     f"{len(histories.freezes)} stalls of the file system ({frozen:.0f} s)")
        lines.append(f"{len(histories.damages)} damages: "
                     + (", ".join(f"{count} {what}" for what, count in damages.most_common()) or "none"))
        lines.append(f"{sum(self.excused.values())} excused: "
                     + (", ".join(f"{count} {what}" for what, count in self.excused.most_common()) or "none"))
        lines.append(f"latest end {self.latest[0]:.1f} s beyond its bound (allowed: {self.slack:.0f} s) {self.latest[1]}")
        return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--slack", type=float, default=20.0, help="how late a call may end on a slow machine, seconds")
    flags = parser.parse_args()
    checker = Checker(read(flags.directory), flags.slack)
    checker.check()
    for line in checker.summary():
        print(line)
    for line in checker.violations[:200]:
        print(f"VIOLATION {line}")
    print(f"{len(checker.violations)} violations, seed {checker.histories.seed}" if checker.violations
          else f"OK, seed {checker.histories.seed}")
    return 1 if checker.violations else 0


if __name__ == "__main__":
    sys.exit(main())
