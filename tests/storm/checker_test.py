#!/usr/bin/env python3
"""The checker on histories made by hand: one in which every promise was kept, and that one with each promise broken once."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
# pylint: disable=wrong-import-position
from checker import Checker
from histories import read

TICKETS = ["%032x" % i for i in range(4)]

SHOWS_NOTHING = "shows nothing"

# Times are in milliseconds here.
KEPT = {
    "storm": """
seed 0 7
start 0 s0i1 100 1.0
start 0 c0i1 200 1.0
start 0 c1i1 201 1.0
start 6000 c2i1 202 1.0
kill 900 c1i1
exit 901 c1i1 -9
damage 1000 reply - - {3} durable/{3}/reply flip
leave 5000 c0i1
exit 5100 c0i1 0
leave 6000 c2i1
exit 6900 c2i1 0
leave 7000 s0i1
exit 7100 s0i1 0
gc 8000 0
left 8001 format
left 8001 servers
left 8001 durable/retention
left 8001 logs/{0}.log
end 9000
""",
    "c0i1": """
begin 100 c0i1.0 Append 11 0 3000 0 0
end 200 c0i1.0 0 0 0 s0i1.0 21 1 -
begin 100 c0i1.1 Again 11 0 3000 0 0
end 200 c0i1.1 0 0 0 s0i1.2 22 1 -
begin 100 c0i1.2 AckFirst 11 0 3000 0 0
end 200 c0i1.2 0 0 0 s0i1.3 23 1 -
begin 100 c0i1.3 Expand 11 0 3000 0 2
end 200 c0i1.3 0 0 0 s0i1.4 24 2 -
begin 300 c0i1.4 Append 11 0 3000 0 0
end 3300 c0i1.4 14 1 0 - 0 0 no_server
begin 300 c0i1.5 Append 11 500 3000 0 0
end 800 c0i1.5 4 12 1 - 0 0 deadline
begin 300 c0i1.6 Append 11 0 3000 0 0
end 400 c0i1.6 14 3 1 - 0 0 lost
begin 300 c0i1.7 Append 11 0 3000 0 0
end 400 c0i1.7 9 0 0 - 0 0 told_to_fail
submit 500 c0i1.8 durableAppend 11 0
ticket 510 c0i1.8 {0}
submit 500 c0i1.9 durableAgain 11 0
ticket 510 c0i1.9 {1}
submit 500 c0i1.10 durableAppend 11 0
ticket 510 c0i1.10 {3}
finished 5050
""",
    "c1i1": """
begin 800 c1i1.0 Append 11 0 3000 0 0
submit 800 c1i1.1 durableAppend 11 0
""",
    "c2i1": """
collect 6000 {0}
collected 6010 {0} 0 0 0 c0i1.8 s0i1.5 25 -
delete 6020 {0}
deleted 6030 {0} 0 0
collect 6000 {1}
collected 6010 {1} 0 0 0 c0i1.9 s0i1.6 26 -
delete 6020 {1}
deleted 6030 {1} 0 0
collect 6000 {3}
collected 6010 {3} 15 4 1 - - 0 damaged
delete 6020 {3}
deleted 6030 {3} 0 0
orphan 6100 {2}
collect 6200 {2}
collected 6210 {2} 0 0 0 c1i1.1 s0i1.7 27 -
delete 6220 {2}
deleted 6230 {2} 0 0
finished 6800
""",
    "s0i1": """
exec 110 c0i1.0 s0i1.0 11
made 120 c0i1.0 s0i1.0 0 21
exec 110 c0i1.1 s0i1.1 11
exec 110 c0i1.1 s0i1.2 11
made 120 c0i1.1 s0i1.2 0 22
exec 110 c0i1.2 s0i1.3 11
made 120 c0i1.2 s0i1.3 0 23
exec 110 c0i1.3 s0i1.4 11
made 120 c0i1.3 s0i1.4 0 24
exec 310 c0i1.6 s0i1.8 11
exec 310 c0i1.7 s0i1.9 11
made 320 c0i1.7 s0i1.9 9 0
exec 600 c0i1.8 s0i1.5 11
made 610 c0i1.8 s0i1.5 0 25
exec 600 c0i1.9 s0i1.6 11
made 610 c0i1.9 s0i1.6 0 26
exec 600 c1i1.1 s0i1.7 11
made 610 c1i1.1 s0i1.7 0 27
exec 600 c0i1.10 s0i1.10 11
made 610 c0i1.10 s0i1.10 0 28
""",
}


def check(histories, slack=1.0):
    """The checker, after it has looked through histories like those above."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in histories.items():
            with open(os.path.join(directory, name + ".log"), "w", encoding="utf-8") as out:
                for line in text.format(*TICKETS).strip().split("\n"):
                    what, time, *fields = line.split(" ")
                    out.write(" ".join([what, time + "000000", *fields]) + "\n")
        checker = Checker(read(directory), slack)
        checker.check()
        checker.summary()
        return checker


class CheckerTest(unittest.TestCase):
    def changed(self, process, old, new):
        """KEPT with a line (or the beginning of some) of one process replaced."""
        self.assertIn(old, KEPT[process])
        return {**KEPT, process: KEPT[process].replace(old, new)}

    def assert_violated(self, rule, histories):
        """That rule, and no other, but perhaps that no call of some kind is left that ended with OK."""
        rules = {violation.split(":")[0] for violation in check(histories).violations}
        self.assertEqual(rules - {SHOWS_NOTHING}, {rule} - {SHOWS_NOTHING})
        self.assertIn(rule, rules)

    def assert_kept(self, histories):
        self.assertEqual(check(histories).violations, [])

    def test_kept(self):
        checker = check(KEPT)
        self.assertEqual(checker.violations, [])
        self.assertEqual(sum(checker.excused.values()), 1)

    def test_executed_twice(self):
        for call in ("c0i1.0", "c0i1.2", "c0i1.3", "c0i1.8"):
            self.assert_violated("executed twice", {**KEPT, "s0i2": f"exec 700 {call} s0i2.0 11\n"})

    def test_an_idempotent_one_may_be(self):
        self.assert_kept({**KEPT, "s0i2": "exec 700 c0i1.9 s0i2.0 11\n"})

    def test_a_damaged_acknowledgement_is_no_excuse(self):
        damage = "damage 150 responses c0i1 s0i1 - sessions/x flip\n"
        self.assert_violated("executed twice", {**KEPT, "s0i2": "exec 190 c0i1.2 s0i2.0 11\n",
                                                "storm": KEPT["storm"] + damage})

    def test_executed_though_the_caller_was_told_otherwise(self):
        # Also after it was told.
        self.assert_violated("executed, its caller was told otherwise",
                             {**KEPT, "s0i2": "exec 4000 c0i1.4 s0i2.0 11\n"})
        self.assert_violated("executed, its caller was told otherwise",
                             self.changed("c0i1", "14 3 1 - 0 0 lost", "14 9 0 - 0 0 not_started"))

    def test_no_server_that_does_not_want_to_know(self):
        self.assert_violated("executed, its caller was told otherwise",
                             self.changed("c0i1", "14 3 1 - 0 0 lost", "14 1 1 - 0 0 no_server"))

    def test_wrong_replies(self):
        for old, new in (
                ("s0i1.0 21 1", "s0i1.0 22 1"),  # other bytes
                ("s0i1.0 21 1", "s0i1.2 22 1"),  # of another call
                ("s0i1.0 21 1", "- 21 1"),  # of nobody
                ("s0i1.2 22 1", "s0i1.1 22 1"),  # of an execution that has made none
                ("s0i1.4 24 2", "s0i1.4 24 1"),  # not all of it
                ("9 0 0 - 0 0 told", "8 0 0 - 0 0 told")):  # another code
            self.assert_violated("wrong reply", self.changed("c0i1", old, new))
        self.assert_violated("wrong reply", self.changed("c2i1", "c0i1.8 s0i1.5 25", "c0i1.8 s0i1.5 26"))
        self.assert_violated("wrong reply", self.changed("c2i1", "c0i1.8 s0i1.5 25", "c0i1.9 s0i1.5 25"))

    def test_wrong_request(self):
        self.assert_violated("wrong request", self.changed("s0i1", "c0i1.0 s0i1.0 11", "c0i1.0 s0i1.0 12"))

    def test_a_call_without_an_end(self):
        self.assert_violated("a call without an end",
                             self.changed("c0i1", "end 200 c0i1.0 0 0 0 s0i1.0 21 1 -\n", ""))

    def test_a_call_that_ends_late(self):
        # 3 s to be acknowledged, a lease of 2 s and a fifth, and 1 s of slack.
        slow = self.changed("c0i1", "end 400 c0i1.6", "end 6800 c0i1.6")
        self.assert_violated("a call without an end in time", slow)
        for pause in ("stop 1000 c0i1\ncont 2000 c0i1\n", "stop 1000 s0i1\ncont 2000 s0i1\n",
                      "freeze 1000\nthaw 2000\n"):
            self.assert_kept({**slow, "storm": KEPT["storm"] + pause})
        self.assert_violated("a call without an end in time",
                             {**slow, "storm": KEPT["storm"] + "stop 1000 c1i1\ncont 2000 c1i1\n"})

    def test_a_deadline_that_is_missed(self):
        self.assert_violated("a call without an end in time",
                             self.changed("c0i1", "end 800 c0i1.5", "end 1900 c0i1.5"))

    def test_a_deadline_that_had_not_passed(self):
        self.assert_violated("ended before its deadline", self.changed("c0i1", "end 800 c0i1.5", "end 700 c0i1.5"))

    def test_an_end_that_nothing_explains(self):
        corrupt = self.changed("c0i1", "14 3 1 - 0 0 lost", "15 4 1 - 0 0 corrupt")
        self.assert_violated("an end that nothing explains", corrupt)
        for time, client, excused in ((350, "c0i1", True), (450, "c0i1", False), (350, "c1i1", False)):
            damage = f"damage {time} requests {client} s0i1 - sessions/x flip\n"
            checker = check({**corrupt, "storm": KEPT["storm"] + damage})
            self.assertEqual(not checker.violations, excused)
            self.assertEqual(sum(checker.excused.values()), 1 + excused)

    def test_an_end_that_names_its_damaged_session(self):
        unusable = self.changed("c0i1", "14 3 1 - 0 0 lost", "14 6 1 - 0 0 open_/s/sessions/{0}/responses")
        for session, excused in (("{0}", True), ("{1}", False)):
            damage = f"damage 350 requests - s0i1 - sessions/{session}/requests head\n"
            self.assertEqual(not check({**unusable, "storm": KEPT["storm"] + damage}).violations, excused)

    def test_a_durable_call_that_is_lost(self):
        self.assert_violated("a durable call was lost", self.changed(
            "c2i1", "collected 6010 {0} 0 0 0 c0i1.8 s0i1.5 25 -", "collected 6010 {0} 14 14 0 - - 0 not_finished"))
        self.assert_violated("a durable call was lost", self.changed(
            "c2i1", "collected 6010 {0} 0 0 0 c0i1.8 s0i1.5 25 -", "collected 6010 {0} 5 15 0 - - 0 no_such"))
        self.assert_violated("a durable call was lost",
                             self.changed("c2i1", "collected 6010 {0} 0 0 0 c0i1.8 s0i1.5 25 -\n", ""))
        self.assert_violated("a durable call was lost", self.changed(
            "c2i1", "collected 6210 {2} 0 0 0 c1i1.1 s0i1.7 27 -", "collected 6210 {2} 14 14 0 - - 0 not_finished"))

    def test_a_durable_call_that_somebody_has_deleted_is_not_lost(self):
        self.assert_kept({**KEPT, "c2i1": KEPT["c2i1"] + "collect 6300 {0}\ncollected 6310 {0} 5 15 0 - - 0 gone\n"})

    def test_ends_of_durable_calls(self):
        for ticket, old, kept in (("{0}", "c0i1.8 s0i1.5 25 -", True), ("{1}", "c0i1.9 s0i1.6 26 -", False)):
            lost = self.changed("c2i1", f"{ticket} 0 0 0 {old}", f"{ticket} 14 3 1 - - 0 lost")
            self.assert_violated(SHOWS_NOTHING if kept else "a durable call ended as none may", lost)
        self.assert_violated("executed, its caller was told otherwise", self.changed(
            "c2i1", "{0} 0 0 0 c0i1.8 s0i1.5 25 -", "{0} 14 9 0 - - 0 not_started"))

    def test_damage_that_looks_like_another_version(self):
        other = self.changed("c2i1", "{3} 15 4 1", "{3} 9 5 1")
        self.assert_kept(other)
        self.assert_violated("a durable call ended as none may",
                             {**other, "storm": KEPT["storm"].replace("- - {3} durable", "- - {1} durable")})

    def test_damage_of_another_durable_call(self):
        self.assert_violated("a durable call ended as none may", self.changed("storm", "- - {3} durable", "- - {1} durable"))

    def test_two_replies_of_a_durable_call(self):
        self.assert_violated("a durable call has several replies", {
            **KEPT, "c2i1": KEPT["c2i1"] + "collect 6012 {0}\ncollected 6015 {0} 14 3 1 - - 0 lost\n"})

    def test_a_durable_call_that_is_not_taken(self):
        self.assert_violated("a durable call that was not taken", self.changed(
            "c0i1", "ticket 510 c0i1.8 {0}", "unsubmitted 510 c0i1.8 14 11 1 failed"))

    def test_orphans(self):
        # Of a call whose caller had its ticket.
        self.assert_violated("a durable call that nobody made", self.changed(
            "c2i1", "{2} 0 0 0 c1i1.1 s0i1.7 27", "{2} 0 0 0 c0i1.8 s0i1.5 25"))
        # More of them than killed callers.
        self.assert_violated("a durable call that nobody made", self.changed(
            "c2i1", "orphan 6100 {2}\n", "orphan 6100 {2}\norphan 6100 ffff\n"))

    def test_a_call_that_nobody_made(self):
        self.assert_violated("a call that nobody made", {**KEPT, "s0i2": "exec 700 c9i9.0 s0i2.0 11\n"})

    def test_files_that_are_left(self):
        for path in ("sessions/{0}", "servers/{0}/record", "durable/{0}", "servers/.tmp-1", "logs/core"):
            self.assert_violated("a file was left", self.changed("storm", "left 8001 servers\n", f"left 8001 {path}\n"))
        self.assert_violated("a file was left", self.changed("storm", "gc 8000 0", "gc 8000 1"))
        logs = "".join(f"left 8001 logs/{i:032x}.log\n" for i in range(100))
        self.assert_violated("a file was left", {**KEPT, "storm": KEPT["storm"] + logs})

    def test_processes(self):
        self.assert_violated("a process that failed", self.changed("storm", "exit 7100 s0i1 0", "exit 7100 s0i1 -11"))
        self.assert_violated("a process that failed", self.changed("storm", "exit 901 c1i1 -9", "exit 901 c1i1 1"))
        self.assert_violated("a process that failed", self.changed("c0i1", "finished 5050\n", ""))
        self.assert_violated("a process that ended by itself", self.changed("storm", "leave 7000 s0i1\n", ""))
        self.assert_violated("a process whose end nobody saw", self.changed("storm", "exit 7100 s0i1 0\n", ""))
        self.assert_violated("a process that does not end", {**KEPT, "storm": KEPT["storm"] + "hang 7000 s0i1\n"})

    def test_a_server_that_was_taken_for_dead(self):
        dead = self.changed("storm", "exit 7100 s0i1 0", "exit 7100 s0i1 1")
        self.assert_violated("a process that failed", dead)
        for stop, excused in (("stop 1000 s0i1\ncont 6000 s0i1\n", True), ("freeze 1000\nthaw 6000\n", True),
                              ("stop 1000 c0i1\ncont 6000 c0i1\n", False), ("stop 1000 s0i1\ncont 3000 s0i1\n", False)):
            self.assertEqual(not check({**dead, "storm": dead["storm"] + stop}).violations, excused)

    def test_histories_that_are_not_whole(self):
        self.assert_violated("not a history", self.changed("storm", "end 9000\n", ""))
        self.assert_violated("not a history", self.changed("storm", "gc 8000 0\n", ""))
        self.assert_violated("not a history", {**KEPT, "c2i1": KEPT["c2i1"] + "whatever 6900 x\n"})

    def test_a_storm_that_shows_nothing(self):
        self.assert_violated(SHOWS_NOTHING, self.changed("c0i1", "AckFirst", "Append"))


if __name__ == "__main__":
    unittest.main()
