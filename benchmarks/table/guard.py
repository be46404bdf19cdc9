"""The guard against getting slower: generous bounds on ratios.

Machines are noisy, so of three quick runs the best of each key counts: this finds a program that has become slow, and not
one that is slow now and then.
"""

import sys

TRIES = 3
# Measured on a machine of two processors, at rest and while others kept it busy, on ext4: 0.03-0.2, 12-18, 2-4.4, 17-22,
# 0.2-0.3, 0.02, 2.1, 0.05-0.13. gRPC has been three times as fast on such machines as it was in those hours, and five to ten
# times with large messages, where memory is fast: the bounds leave room for that.
BOUNDS = {
    "unary_p50_vs_grpc": ("<=", 0.4),
    "rate64_vs_grpc": (">=", 3),
    "rate64_blocking_vs_grpc": (">=", 1.1),
    "stream_rate_vs_grpc": (">=", 4),
    "echo_64mib_bytes_vs_grpc": ("<=", 1.4),
    "echo_64mib_vs_grpc": ("<=", 0.4),
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
