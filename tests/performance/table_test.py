#!/usr/bin/env python3
"""The table's rows, its guard and its plot, on figures made by hand: no program is run."""

import collections
import contextlib
import io
import json
import os
import re
import sys
import tempfile
import unittest
import xml.dom.minidom

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "benchmarks", "table"))
# pylint: disable=wrong-import-position
import bench
import guard
import plot
from network import HARNESSES
from programs import Failed, numbers, run
from rows import NETWORK_ROWS, ROWS, met
from turns import TURNS

UNARY = [row for row in ROWS if row.turn == "unary"]


def values(**by_contender):
    found = collections.defaultdict(list)
    for contender, by_number in by_contender.items():
        for number, all_values in by_number.items():
            found["unary", contender, number] = all_values
    return found


MEASURED = values(spool={"p50_us": [5, 4, 60], "p99_us": [30], "cpu_us": [8]},
                  grpc={"p50_us": [50], "p99_us": [60], "cpu_us": [80]},
                  floor={"p50_us": [2.5]})


class RowsTest(unittest.TestCase):
    def test_keys_are_there_once_and_have_their_turns(self):
        keys = [row.key for row in ROWS + NETWORK_ROWS]
        self.assertEqual(len(keys), len(set(keys)))
        for row in ROWS:
            self.assertIn(row.turn, TURNS, row.key)
        for row in NETWORK_ROWS:
            self.assertIn(row.turn, HARNESSES, row.key)

    def test_every_key_is_in_the_document(self):
        with open(os.path.join(ROOT, "docs", "performance.md"), encoding="utf-8") as document:
            words = set(re.findall(r"`([a-z0-9_]+)`", document.read()))
        for row in ROWS + NETWORK_ROWS:
            if not row.key.startswith("grpc_"):
                self.assertIn(row.key, words)

    def test_goals(self):
        self.assertTrue(met(("<=", 2), 2))
        self.assertFalse(met(("<=", 2), 2.1))
        self.assertTrue(met((">=", 2), 2))
        self.assertFalse(met((">=", 2), 1.9))
        self.assertFalse(met(("<", 2), 2))
        echo = next(row for row in ROWS if row.key == "echo_64mib_vs_grpc")
        self.assertEqual(echo.goal_on("tmpfs"), ("<=", 0.35))
        self.assertEqual(echo.goal_on("ext4"), ("<=", 0.2))


class ReportTest(unittest.TestCase):
    def test_ratios_are_of_medians(self):
        report = bench.Report("ext4", UNARY, MEASURED)
        self.assertTrue(report.complete())
        self.assertAlmostEqual(report.value("unary_p50_vs_grpc"), 0.1)
        self.assertAlmostEqual(report.value("unary_p50_vs_floor"), 2)
        self.assertAlmostEqual(report.value("cpu_per_call_1_vs_grpc"), 0.1)
        line = json.loads(report.json())
        self.assertEqual(line["fs"], "ext4")
        self.assertEqual(line["unary_p99_vs_grpc"], 0.5)
        self.assertEqual(line["measured"]["unary.spool.p50_us"], 5)

    def test_what_was_not_measured_is_null(self):
        report = bench.Report("ext4", UNARY, values(spool={"p50_us": [5]}, floor={"p50_us": [5]}))
        self.assertFalse(report.complete())
        line = json.loads(report.json())
        self.assertIsNone(line["unary_p50_vs_grpc"])
        self.assertEqual(line["unary_p50_vs_floor"], 1)


class GuardTest(unittest.TestCase):
    def setUp(self):
        self.asked = []

    def check(self, *tries):
        """The guard's status, if the first keys' values of each try are these and all others are good."""
        good = {key: bound for key, (_, bound) in guard.BOUNDS.items()}

        class Made:
            fs = "ext4"

            def __init__(self, changed):
                self.changed = changed

            def print_table(self, _):
                pass

            def complete(self):
                return None not in self.changed.values()

            def value(self, key):
                return self.changed.get(key, good[key])

        def report_of(keys):
            self.asked.append(set(keys))
            return Made(tries[len(self.asked) - 1])

        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return guard.check(report_of)

    def test_all_within_bounds(self):
        self.assertEqual(self.check({}), 0)
        self.assertEqual(self.asked, [set(guard.BOUNDS)])

    def test_the_best_of_each_key_counts(self):
        self.assertEqual(self.check({"unary_p50_vs_grpc": 9, "rate64_vs_grpc": 0}, {"rate64_vs_grpc": 0}, {}), 0)
        self.assertEqual(self.asked[1:], [{"unary_p50_vs_grpc", "rate64_vs_grpc"}, {"rate64_vs_grpc"}])

    def test_slow_each_time(self):
        self.assertEqual(self.check(*[{"stream_rate_vs_grpc": 0}] * 3), 3)
        self.assertEqual(len(self.asked), 3)

    def test_not_measured(self):
        self.assertEqual(self.check({"net_ops_1": None}), 1)


class ProgramsTest(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual(numbers("ring p50_us=1.5 read=direct x= rate=2e3"), {"p50_us": 1.5, "rate": 2000})

    def test_the_last_line_counts(self):
        self.assertEqual(run(["/bin/echo", "a=1\nb=2"]), {"b": 2})

    def test_failures_say_what_was_run(self):
        with self.assertRaisesRegex(Failed, "false.*status 1"):
            run(["/bin/false"])
        with self.assertRaisesRegex(Failed, "sleep 60: killed after 0.1 s"):
            run(["/bin/sleep", "60"], seconds=0.1)


class PlotTest(unittest.TestCase):
    def test_a_curve_for_each_contender(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "plot.svg")
            plot.write(path, {"ext4": {"spool": [5, 6, 7], "grpc": [50.0]}, "tmpfs": {}})
            document = xml.dom.minidom.parse(path)
        self.assertEqual(len(document.getElementsByTagName("polyline")), 2)

    def test_quantiles(self):
        self.assertEqual(plot.curve([3, 1, 2], points=2), [(1, 0.0), (2, 0.5), (3, 1.0)])


if __name__ == "__main__":
    unittest.main()
