"""The guard against getting slower: bounds on ratios, twice as bad as what was measured when they were set.

Machines are noisy, so of three quick runs the best of each key counts: this finds a program that has become slow, and not
one that is slow now and then.
"""

import sys

TRIES = 3
# As measured on a machine of two processors that others kept busy, on ext4: 0.21, 2.7, 1.9, 1.3, 1.7, 2.2.
BOUNDS = {
    "unary_p50_vs_grpc": ("<=", 0.4),
    "rate64_vs_grpc": (">=", 1.35),
    "rate64_blocking_vs_grpc": (">=", 0.95),
    "stream_rate_vs_grpc": (">=", 0.65),
    "echo_64mib_bytes_vs_grpc": ("<=", 3.4),
    "net_ops_1": ("<=", 4.4),
}


def within(bound, value):
    sign, limit = bound
    return value <= limit if sign == "<=" else value >= limit


def check(report_of):
    """`report_of(keys)` measures these and returns a bench.Report. The exit status: 0, 1 (not measured) or 3."""
    left = set(BOUNDS)
    for attempt in range(1, TRIES + 1):
        report = report_of(left)
        report.print_table(f"{report.fs}, try {attempt} of {TRIES}")
        if not report.complete():
            return 1
        left = {key for key in left if not within(BOUNDS[key], report.value(key))}
        if not left:
            print("tools/bench.sh: all within bounds")
            return 0
    for key in sorted(left):
        print(f"tools/bench.sh: {key} is not {BOUNDS[key][0]} {BOUNDS[key][1]} in any of {TRIES} tries",
              file=sys.stderr)
    return 3
