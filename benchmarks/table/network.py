"""The rows between two clients of a network file system: benchmarks/network_echo under the harnesses of tests/nodes."""

import os
import subprocess
import sys

from programs import numbers

HARNESSES = {"gluster": ["gluster.sh"], "nfs": ["nfs.sh", "--delay-ms", "1"]}


def measure(rows, options):
    """Values by (turn, contender, number). What fails has none."""
    values = {}
    for name in sorted({row.turn for row in rows}):
        harness, *harness_flags = HARNESSES[name]
        command = [os.path.join("tests", "nodes", harness), "--timeout", "1200", *harness_flags, "--",
                   os.path.join(os.path.abspath(options.programs), "network_echo")]
        if options.quick:
            command += ["--rounds=3", "--calls=300", "--duration=2s"]
        print(f"{name}: {' '.join(command[:3])} ...", file=sys.stderr)
        try:
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        found = numbers(output.strip().rpartition("\n")[2])
        for contender, number, word in (("spool", "p50_us", "call_p50_us"), ("floor", "p50_us", "ring_p50_us"),
                                        ("spool", "rate", "call_rate64"), ("floor", "rate", "ring_rate64")):
            if word in found:
                values[name, contender, number] = [found[word]]
    return values
