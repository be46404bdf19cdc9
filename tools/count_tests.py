#!/usr/bin/env python3
"""Counts the test targets of one `bazel test` from its build event file: prints `PASSED FAILED` and, on further lines,
the labels of those that failed.

A test that was not run, because it did not build or an earlier error ended the build, counts as failed. A file that
holds no events counts as one failure, named `bazel`: bazel itself did not get that far.
"""

import json
import sys


def count(lines):
    wanted, passed = set(), set()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # cut short
            continue
        identity = event.get("id", {})
        if "targetConfigured" in identity and event.get("configured", {}).get("targetKind", "").endswith("_test rule"):
            wanted.add(identity["targetConfigured"]["label"])
        if "testSummary" in identity:
            label = identity["testSummary"]["label"]
            wanted.add(label)
            if event.get("testSummary", {}).get("overallStatus") == "PASSED":
                passed.add(label)
    return wanted, passed


def main():
    with open(sys.argv[1]) as events:
        wanted, passed = count(events)
    failed = sorted(wanted - passed)
    if not wanted:
        failed = ["bazel"]
    print(len(passed), len(failed))
    for label in failed:
        print(label)


if __name__ == "__main__":
    main()
