"""The guard against getting slower: bounds on ratios, twice as bad as what was measured when they were set.

Machines are noisy, so of three quick runs the best of each key counts: this finds a program that has become slow, and not
one that is slow now and then.
"""

import sys

TRIES = 3
# As measured on a machine of two processors, on ext4, at rest and while others kept it busy: 0.03-0.2, 18-20, 3.3-4.4, 17-22,
# 0.28, 0.02, 2.1, 0.13.
BOUNDS = {
    "unary_p50_vs_grpc": ("<=", 0.3),
    "rate64_vs_grpc": (">=", 5),
    "rate64_blocking_vs_grpc": (">=", 1.3),
    "stream_rate_vs_grpc": (">=", 7),
    "echo_64mib_bytes_vs_grpc": ("<=", 0.9),
    "echo_64mib_vs_grpc": ("<=", 0.2),
    "net_ops_1": ("<=", 3.3),
    "net_ops_64": ("<=", 0.4),
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
