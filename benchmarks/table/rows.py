"""The rows of the table: keys, what they say, their goals, and how they follow from what was measured.

A row's function gets `m(turn, contender, number)`, a median over the rounds, and returns the key's value and the figures
that it comes from, as text.
"""

import dataclasses
from typing import Callable, Dict, Optional, Tuple, Union

from turns import SESSIONS

Goal = Tuple[str, float]


@dataclasses.dataclass
class Row:
    key: str
    title: str
    goal: Optional[Union[Goal, Dict[str, Goal]]]  # by file system, where it matters
    turn: str
    value: Callable

    def goal_on(self, fs):
        if isinstance(self.goal, dict):
            return self.goal.get(fs, self.goal["ext4"])
        return self.goal


def met(goal, value):
    sign, bound = goal
    return {"<=": value <= bound, "<": value < bound, ">=": value >= bound}[sign]


def time_ratio(turn, ours, other, number="p50_us"):
    def value(m):
        mine, theirs = m(turn, ours, number), m(turn, other, number)
        return mine / theirs, f"{mine:.4g} / {theirs:.4g} us"
    return value


def rate_ratio(turn, other="grpc"):
    def value(m):
        mine, theirs = m(turn, "spool", "rate"), m(turn, other, "rate")
        return mine / theirs, f"{mine:.0f} / {theirs:.0f} a second"
    return value


def figure(turn, number, unit, scale=1, contender="spool"):
    def value(m):
        measured = m(turn, contender, number) * scale
        return measured, f"{measured:.4g} {unit}"
    return value


def beside_idle(m):
    alone, beside = m("idle", "spool", "p50_alone_us"), m("idle", "spool", "p50_beside_us")
    return beside / alone, f"{beside:.4g} / {alone:.4g} us"


def operations(in_flight):
    def value(m):
        done, polls = (m("net_ops", "spool", f"{what}_{in_flight}") for what in ("ops", "polls"))
        return done, f"{done:.3g} a call, and {polls:.3g} polls"
    return value


def large(mebibytes):
    return {"ext4": ("<=", {1: 0.3, 64: 0.2, 1024: 0.25}[mebibytes]), "tmpfs": ("<=", 0.35)}


ROWS = [
    Row("unary_p50_vs_grpc", "one in flight, median", ("<=", 0.12), "unary", time_ratio("unary", "spool", "grpc")),
    Row("unary_p50_vs_floor", "  against the floor", ("<=", 2), "unary", time_ratio("unary", "spool", "floor")),
    Row("unary_p99_vs_grpc", "  99th percentile", ("<=", 0.3), "unary",
        time_ratio("unary", "spool", "grpc", "p99_us")),
    Row("cpu_per_call_1_vs_grpc", "  processor time of both sides", ("<=", 0.5), "unary",
        time_ratio("unary", "spool", "grpc", "cpu_us")),
    Row("rate64_vs_grpc", "64 in flight, callbacks", (">=", 20), "rate64", rate_ratio("rate64")),
    Row("rate64_vs_floor", "  against the floor", None, "rate64", rate_ratio("rate64", "floor")),
    Row("cpu_per_call_64_vs_grpc", "  processor time of both sides", ("<=", 0.1), "rate64",
        time_ratio("rate64", "spool", "grpc", "cpu_us")),
    Row("rate64_blocking_vs_grpc", "64 threads, blocking stubs", (">=", 2), "rate64_blocking",
        rate_ratio("rate64_blocking")),
    Row("rate16p_vs_grpc", "16 client processes", (">=", 5), "rate16p", rate_ratio("rate16p")),
    Row("stream_rate_vs_grpc", "one server stream, blocking reader", (">=", 10), "stream", rate_ratio("stream")),
    Row("stream_hinted_rate_vs_grpc", "  each message may wait for the next", None, "stream_hinted",
        rate_ratio("stream_hinted")),
    Row("stream_reactor_rate_vs_grpc", "  read by a reactor", None, "stream_reactor", rate_ratio("stream_reactor")),
    Row("echo_1mib_vs_grpc", "echo of 1 MiB, raw bytes", large(1), "echo_1mib",
        time_ratio("echo_1mib", "spool", "grpc")),
    Row("echo_64mib_vs_grpc", "  of 64 MiB", large(64), "echo_64mib", time_ratio("echo_64mib", "spool", "grpc")),
    Row("echo_1gib_vs_grpc", "  of 1 GiB", large(1024), "echo_1gib", time_ratio("echo_1gib", "spool", "grpc")),
    Row("echo_64mib_bytes_vs_grpc", "echo of 64 MiB, a bytes field", ("<=", 0.7), "echo_64mib_bytes",
        time_ratio("echo_64mib_bytes", "spool", "grpc")),
    Row("echo_1mib_bytes_vs_grpc", "  of 1 MiB", None, "echo_1mib_bytes",
        time_ratio("echo_1mib_bytes", "spool", "grpc")),
    Row("echo_64mib_bytes_kept_vs_grpc", "  of 64 MiB, freed memory is kept", None, "echo_64mib_bytes_kept",
        time_ratio("echo_64mib_bytes_kept", "spool", "grpc")),
    Row("asleep_p50_vs_floor", "both asleep, inline handler", ("<=", 1.3), "asleep",
        time_ratio("asleep", "spool", "floor")),
    Row("asleep_pool_p50_vs_floor", "  handler on a thread pool", None, "asleep",
        time_ratio("asleep", "pool", "floor")),
    Row("asleep_p50_vs_grpc", "  against gRPC", None, "asleep", time_ratio("asleep", "spool", "grpc")),
    Row("idle_cpu_percent", f"idle server, {SESSIONS} sessions", ("<", 0.1), "idle",
        figure("idle", "cpu_percent", "% of a processor")),
    Row("p50_beside_1000_idle", "  median call beside them", ("<=", 1.2), "idle", beside_idle),
    Row("idle_session_rss_kib", "  server's memory a session", ("<=", 32), "idle", figure("idle", "rss_kib", "KiB")),
    Row("idle_session_disk_kib", "  disk a session", ("<=", 512), "idle", figure("idle", "disk_kib", "KiB")),
    Row("net_ops_1", "network path, file operations", ("<=", 2.2), "net_ops", operations(1)),
    Row("net_ops_64", "  64 in flight", ("<=", 0.2), "net_ops", operations(64)),
    Row("setup_ms", "new channel to first reply", ("<=", 2), "setup", figure("setup", "p50_us", "ms", 1e-3)),
    Row("kill_to_status_ms", "kill -9 to the last of 8 callers", ("<=", 100), "kill", figure("kill", "told_ms", "ms")),
    Row("unpark_ms", "first call after some idle seconds", ("<=", 2), "first_call",
        figure("first_call", "p50_us", "ms", 1e-3)),
    Row("system_calls_1", "system calls a call, both sides", None, "system_calls",
        figure("system_calls", "one", "(by strace, which slows)")),
    Row("grpc_system_calls_1", "  gRPC's", None, "system_calls",
        figure("system_calls", "one", "", contender="grpc")),
    Row("system_calls_64", "  64 in flight", None, "system_calls", figure("system_calls", "many", "")),
    Row("grpc_system_calls_64", "  64 in flight, gRPC's", None, "system_calls",
        figure("system_calls", "many", "", contender="grpc")),
]
NETWORK_ROWS = [
    Row("gluster_p50_vs_floor", "GlusterFS, one in flight", ("<=", 1.5), "gluster",
        time_ratio("gluster", "spool", "floor")),
    Row("gluster_rate64_vs_floor", "  64 in flight", (">=", 0.5), "gluster", rate_ratio("gluster", "floor")),
    Row("nfs_p50_vs_floor", "NFS, 1 ms away, one in flight", ("<=", 1.5), "nfs", time_ratio("nfs", "spool", "floor")),
    Row("nfs_rate64_vs_floor", "  64 in flight", (">=", 0.5), "nfs", rate_ratio("nfs", "floor")),
]
