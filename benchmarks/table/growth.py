#!/usr/bin/env python3
"""How the cost of calls grows with their size, with the number in flight, of sessions and of servers.

Each of the four is a few points, which SpoolRPC's and gRPC's programs measure in turns; a point is the median of its rounds.
Prints a table and draws one diagram of each. Run by tools/bench.sh --growth; exit status 1: something failed.
"""

import argparse
import collections
import contextlib
import os
import statistics
import sys
import tempfile

import plot
from programs import Failed, Program, run
from turns import Setting, file_system, tidy

ROUNDS = 3
CONTENDERS = ("spool", "grpc")


def payload(setting, contender, size):
    calls = max(5, min(5000, (64 << 20) // size))
    mode = "large" if size >= 1 << 20 else "latency"
    return run(setting.client(contender, f"--mode={mode}", f"--payload_bytes={size}", f"--calls={calls}",
                              f"--warmup={max(1, calls // 10)}"))["p50_us"]


def depth(setting, contender, in_flight):
    return run(setting.client(contender, "--mode=rate_async", f"--in_flight={in_flight}", "--duration=0.5s"))["rate"]


def sessions(setting, contender, idle):
    """A median call beside so many idle sessions of another process."""
    with contextlib.ExitStack() as stack:
        if idle:
            clients = stack.enter_context(Program(setting.client(contender, "--mode=idle", f"--calls={idle}")))
            clients.await_ready(180)
        return run(setting.client(contender, "--calls=5000", "--warmup=500"))["p50_us"]


def servers(setting, contender, count):
    """Calls a second with 64 in flight on one channel, which may use so many servers of one spool."""
    with contextlib.ExitStack() as stack:
        name = f"{count}-servers"
        for _ in range(count):
            server = stack.enter_context(setting.new_server(contender, name))
        return run(setting.client(contender, "--mode=rate_async", "--in_flight=64", "--duration=0.5s",
                                  address=name, pid=server.pid))["rate"]


# Title, axes, what measures a point, the points, and who is measured.
DIAGRAMS = (
    ("payload", "Median echo over the size of the message", "bytes each way", "us", payload,
     (64, 1 << 10, 16 << 10, 128 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20), CONTENDERS),
    ("depth", "Calls a second over the number in flight, one channel", "in flight", "calls/s", depth,
     (1, 2, 4, 8, 16, 32, 64, 128, 256), CONTENDERS),
    ("sessions", "Median call beside idle sessions on the same server", "idle sessions", "us", sessions,
     (0, 10, 100, 1000, 3000), ("spool",)),
    ("servers", "Calls a second, 64 in flight, over the servers of one spool", "servers", "calls/s", servers,
     (1, 2, 4, 8), ("spool",)),
)


def measure(setting):
    """Medians by (diagram, contender), each a list of (point, value)."""
    values = collections.defaultdict(list)
    failed = False
    for name, _, _, unit, take, points, contenders in DIAGRAMS:
        print(f"{name:<10} " + " ".join(f"{contender + ', ' + unit:>16}" for contender in contenders))
        for point in points:
            rounds = collections.defaultdict(list)
            for number in range(ROUNDS):
                for contender in contenders[::1 if number % 2 == 0 else -1]:
                    try:
                        rounds[contender].append(take(setting, contender, point))
                    except (Failed, OSError, KeyError) as error:
                        failed = True
                        print(f"{name} {point}, {contender}: {error}", file=sys.stderr)
            line = f"{point:<10} "
            for contender in contenders:
                if not rounds[contender]:
                    line += f"{'n/a':>16} "
                    continue
                value = statistics.median(rounds[contender])
                values[name, contender].append((point, value))
                line += f"{value:>16.4g} "
            print(line.rstrip(), flush=True)
        print()
    return values, failed


def main():
    parser = argparse.ArgumentParser(prog="tools/bench.sh --growth", add_help=False)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--directory", default="/tmp")
    parser.add_argument("plot")
    options = parser.parse_args()
    directory = tempfile.mkdtemp(prefix="spoolrpc-bench.", dir=options.directory)
    setting = Setting(os.path.abspath(options.programs), directory)
    try:
        values, failed = measure(setting)
    finally:
        setting.close()
        tidy(directory)
    fs = file_system(options.directory)
    plot.write_lines(options.plot, [
        (f"{title}, {fs}", across, up, {contender: values[name, contender] for contender in contenders})
        for name, title, across, up, _, _, contenders in DIAGRAMS])
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
