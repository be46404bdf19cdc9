#!/usr/bin/env python3
"""Measures the rows of the table on each file system and prints them; run by tools/bench.sh, whose comment lists the
flags. Exit status 1: something could not be measured (its key is null); 3: --check found something too slow.
"""

import argparse
import collections
import json
import os
import statistics
import sys
import tempfile

import guard
import network
import plot
from programs import Failed
from rows import NETWORK_ROWS, ROWS, met
from turns import TURNS, Setting, file_system, tidy


def measure(turns, setting, log):
    """The values of all rounds by (turn, contender, number), and what failed by (turn, contender)."""
    values, failures = collections.defaultdict(list), {}
    rounds = {name: TURNS[name].quick_rounds if setting.quick else TURNS[name].rounds for name in turns}
    for number in range(max(rounds.values(), default=0)):
        for name in turns:
            if number >= rounds[name]:
                continue
            contenders = list(TURNS[name].contenders)
            first = number % len(contenders)
            for contender in contenders[first:] + contenders[:first]:
                if (name, contender) in failures:
                    continue
                try:
                    for what, value in TURNS[name].contenders[contender](setting).items():
                        values[name, contender, what].append(value)
                except (Failed, OSError, KeyError) as error:
                    failures[name, contender] = error
                    print(f"\n{name}, {contender}: {error}", file=sys.stderr)
            log.write(".")
            log.flush()
    log.write("\n")
    return values, failures


class Report:
    """The rows of one file system as a table and as JSON."""

    def __init__(self, fs, rows, values):
        self.fs, self.rows, self.values = fs, rows, dict(values)
        self.results = {row.key: self._evaluate(row) for row in rows}

    def _evaluate(self, row):
        try:
            return row.value(lambda *name: statistics.median(self.values[name]))
        except (KeyError, statistics.StatisticsError, ZeroDivisionError):
            return None

    def complete(self):
        return all(self.results[row.key] is not None for row in self.rows)

    def value(self, key):
        result = self.results.get(key)
        return None if result is None else result[0]

    def print_table(self, title):
        print(f"\n{title}: medians over the rounds")
        print(f"{'key':<28} {'value':>9}  {'goal':<8} {'met':<4} what")
        for row in self.rows:
            result, goal = self.results[row.key], row.goal_on(self.fs)
            value = "n/a" if result is None else f"{result[0]:.4g}"
            wanted = "" if goal is None else f"{goal[0]}{goal[1]:g}"
            is_met = "" if goal is None or result is None else ("yes" if met(goal, result[0]) else "NO")
            figures = "" if result is None else f": {result[1]}"
            print(f"{row.key:<28} {value:>9}  {wanted:<8} {is_met:<4} {row.title}{figures}")
        sys.stdout.flush()

    def json(self):
        line = {"benchmark": "table", "fs": self.fs, "cpus": os.cpu_count()}
        line.update({key: None if result is None else float(f"{result[0]:.6g}")
                     for key, result in self.results.items()})
        line["measured"] = {".".join(name): float(f"{statistics.median(all_values):.6g}")
                            for name, all_values in sorted(self.values.items())}
        return json.dumps(line)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench.sh", add_help=False)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--directories", default="/dev/shm,/tmp")
    parser.add_argument("--only", default="")
    parser.add_argument("--plot")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--network", action="store_true")
    return parser.parse_args(arguments)


def select(only):
    """The rows that --only names, all without it."""
    wanted = [key for key in only.split(",") if key]
    unknown = set(wanted) - {row.key for row in ROWS + NETWORK_ROWS}
    if unknown:
        sys.exit(f"tools/bench.sh: no row is called {', '.join(sorted(unknown))}")
    return [row for row in ROWS if not wanted or row.key in wanted], \
        [row for row in NETWORK_ROWS if not wanted or row.key in wanted]


def report_on(parent, rows, options, times):
    """Measures on the file system of the directory `parent`."""
    wanted = {row.turn for row in rows}
    turns = [name for name in TURNS if name in wanted]  # (in their own order)
    directory = tempfile.mkdtemp(prefix="spoolrpc-bench.", dir=parent)
    setting = Setting(os.path.abspath(options.programs), directory, options.quick, keep_times=bool(options.plot))
    try:
        values, _ = measure(turns, setting, sys.stderr)
    finally:
        setting.close()
        tidy(directory)
    fs = file_system(parent)
    times[fs] = setting.times
    return Report(fs, rows, values)


def main():
    options = parse(sys.argv[1:])
    rows, network_rows = select(options.only)
    if options.check:
        options.quick = True
        sys.exit(guard.check(lambda keys: report_on(
            options.directories.split(",")[-1], [row for row in ROWS if row.key in keys], options, {})))
    reports, times = [], {}
    network_values = network.measure(network_rows, options) if options.network else {}
    for parent in options.directories.split(","):
        report = report_on(parent, rows, options, times)
        if options.network:
            report.values.update(network_values)
            report = Report(report.fs, rows + network_rows, report.values)
        report.print_table(f"{report.fs} ({parent})")
        reports.append(report)
    if options.plot:
        plot.write(options.plot, times)
    print()
    for report in reports:
        print(report.json())
    sys.exit(0 if all(report.complete() for report in reports) else 1)


if __name__ == "__main__":
    main()
