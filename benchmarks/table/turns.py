"""What is measured: turns, each of which some contenders take one after another.

In every round all contenders of a turn measure, beginning with another one each time, so that whatever else the machine
does hits all alike. A contender's function gets the Setting and returns numbers by name; what counts is each number's
median over the rounds.
"""

import contextlib
import dataclasses
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from typing import Callable, Dict

from programs import Failed, Program, cpu_seconds, disk_kib, resident_kib, run, start_server

SESSIONS = 1000
PAUSE = "1ms"  # between calls that shall find both sides asleep: 20 times as long as either side spins
MIB = 1 << 20
# Makes glibc keep the memory that a program has freed. By default it gives large blocks back to the kernel, and in a
# virtual machine touching them again takes far longer than copying into them.
KEEP_MEMORY = {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.top_pad=16777216:"
                                 "glibc.malloc.trim_threshold=4294967296"}


@dataclasses.dataclass
class Setting:
    """Where and how long to measure. Owns the two servers that most turns share."""

    programs: str  # the directory of the benchmarks' programs
    directory: str  # on the file system that is measured; its content is the setting's
    quick: bool = False
    times: dict = dataclasses.field(default_factory=dict)  # single times in us, by contender, if `keep_times`
    keep_times: bool = False
    servers: dict = dataclasses.field(default_factory=dict)

    def program(self, name):
        return os.path.join(self.programs, name)

    def path(self, name):
        return os.path.join(self.directory, name)

    def few(self, full, quick):
        return quick if self.quick else full

    def seconds(self, full, quick):
        return f"--duration={self.few(full, quick)}s"

    def server(self, contender, name=None, environment=None):
        """The contender's server of this name (its own by default), which is started when it is first asked for."""
        name = name or contender
        if name not in self.servers:
            self.servers[name] = self.new_server(contender, name, environment)
        return self.servers[name]

    def new_server(self, contender, name, environment=None):
        """Another one, at an address of its own; the caller's to close."""
        return start_server([self.program(f"echo_{contender}_server"), f"--address={self.path(name)}"],
                            environment=environment)

    def client(self, contender, *flags, address=None, pid=None):
        """The command of a client."""
        if contender == "floor":
            return [self.program("echo_floor"), f"--address={self.directory}", *flags]
        if pid is None:
            pid = self.server(contender).pid
        return [self.program(f"echo_{contender}_client"), f"--address={self.path(address or contender)}",
                f"--server_pid={pid}", *flags]

    def close(self):
        for server in self.servers.values():
            server.close()


@dataclasses.dataclass
class Turn:
    contenders: Dict[str, Callable[[Setting], dict]]
    rounds: int = 7
    quick_rounds: int = 3


def simple(contender, *flags, **changing):
    """A turn of a client. `changing`: flags whose value depends on --quick, as (full, quick)."""
    def take(setting):
        extra = [f"--{name}={setting.few(*values)}" for name, values in changing.items()]
        return run(setting.client(contender, *flags, *extra))
    return take


def rate(mode, *flags):
    return {name: simple(name, f"--mode={mode}", *flags, duration=("1s", "0.3s")) for name in ("spool", "grpc")}


def unary(contender):
    def take(setting):
        flags = [f"--calls={setting.few(20000, 3000)}", f"--warmup={setting.few(2000, 500)}"]
        if not setting.keep_times:
            return run(setting.client(contender, *flags))
        with tempfile.NamedTemporaryFile("r", dir=setting.directory) as file:
            result = run(setting.client(contender, *flags, f"--times_file={file.name}"))
            setting.times.setdefault(contender, []).extend(float(line) for line in file)
        return result
    return take


def large(mebibytes, calls, quick_calls, mode="large_raw", keep_memory=False, rounds=5, seconds=120):
    """Echoes of large messages; the first of each turn, which connects, does not count. `mode` is ours. A contender may
    take `seconds` for a turn."""
    def one(contender):
        def take(setting):
            whom, environment = {}, None
            if keep_memory:
                address, environment = f"{contender}-keeps", KEEP_MEMORY
                whom = {"address": address, "pid": setting.server(contender, address, environment).pid}
            its_mode = mode if contender == "spool" else "large"
            return run(setting.client(contender, f"--mode={its_mode}", f"--payload_bytes={mebibytes * MIB}",
                                      "--warmup=0", f"--calls={setting.few(calls, quick_calls)}", **whom),
                       seconds, environment)
        return take
    return Turn({name: one(name) for name in ("spool", "grpc")}, rounds, quick_rounds=1 if mebibytes > 1 else 3)


def asleep(contender, *flags):
    return simple(contender, f"--pause={PAUSE}", "--warmup=50", *flags, calls=(1000, 300))


def sixteen_processes(contender):
    def take(setting):
        command = setting.client(contender, "--mode=rate_blocking", "--in_flight=1", "--await_start",
                                 setting.seconds(2, 0.5))
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Program(command)) for _ in range(16)]
            for client in clients:
                client.await_ready()
            for client in clients:
                client.start()
            return {"rate": sum(client.results()["rate"] for client in clients)}
    return take


def idle_sessions(setting):
    """A server with a thousand idle sessions of one process, beside the shared one, which has a few."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(setting.new_server("spool", "idle"))

        def latency(**whom):
            return run(setting.client("spool", f"--calls={setting.few(10000, 2000)}", **whom))["p50_us"]

        idle = {"address": "idle", "pid": server.pid}
        latency(**idle)  # (whatever is made by the first session is there)
        memory, disk = resident_kib(server.pid), disk_kib(setting.path("idle"))
        clients = stack.enter_context(Program(
            setting.client("spool", "--mode=idle", f"--calls={SESSIONS}", **idle)))
        clients.await_ready(180)
        result = {"rss_kib": (resident_kib(server.pid) - memory) / SESSIONS,
                  "disk_kib": (disk_kib(setting.path("idle")) - disk) / SESSIONS}
        seconds = setting.few(10, 4)
        time.sleep(1)  # (what the last session has woken sleeps again)
        cpu, client_cpu, began = cpu_seconds(server.pid), cpu_seconds(clients.pid), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        result["cpu_percent"] = 100 * (cpu_seconds(server.pid) - cpu) / took
        result["client_cpu_percent"] = 100 * (cpu_seconds(clients.pid) - client_cpu) / took
        alone, beside = [], []
        for _ in range(setting.few(9, 5)):
            alone.append(latency())
            beside.append(latency(**idle))
        result["p50_alone_us"], result["p50_beside_us"] = statistics.median(alone), statistics.median(beside)
        return result


def kill_server(setting):
    server = setting.new_server("spool", "kill")
    try:
        return run(setting.client("spool", "--mode=kill", "--in_flight=8", address="kill", pid=server.pid))
    finally:
        server.close()
        shutil.rmtree(setting.path("kill"), ignore_errors=True)


def network_operations(setting):
    return run([setting.program("network_operations"), "--transport=network", f"--node1={setting.directory}",
                f"--node2={setting.directory}", f"--calls={setting.few(1000, 200)}",
                f"--calls_each={setting.few(50, 20)}"], 300)


def traced_calls(summary):
    """How many system calls `strace -c` has seen, by its summary."""
    with open(summary, encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if words and words[-1] == "total":
                return int(words[3])
    raise Failed(f"{summary}: no summary of strace's")


def traced(contender, *flags):
    """System calls of a new server and a client while the client runs with these flags, and how many calls it made."""
    def take(setting):
        trace = ["strace", "-f", "-c", "-o"]
        address, names = setting.path("traced"), [setting.path("server.strace"), setting.path("client.strace")]
        strace = shutil.which("strace")
        if strace is None:
            raise Failed("strace is not installed")
        trace[0] = strace
        try:
            with start_server([*trace, names[0], setting.program(f"echo_{contender}_server"),
                               f"--address={address}"]):
                client = setting.client(contender, *flags, address="traced", pid=0)
                made = run([*trace, names[1], *client])
            return traced_calls(names[0]) + traced_calls(names[1]), made.get("made", 0)
        finally:
            if os.path.isdir(address):
                shutil.rmtree(address, ignore_errors=True)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(address)
    return take


def system_calls(contender):
    """Of a call, with one in flight (what starting takes is subtracted) and with 64."""
    def take(setting):
        flags = ("--mode=latency", "--warmup=0")
        few, more = 500, setting.few(4500, 1500)
        without, _ = traced(contender, *flags, f"--calls={few}")(setting)
        one, _ = traced(contender, *flags, f"--calls={more}")(setting)
        many, made = traced(contender, "--mode=rate_async", "--duration=1s")(setting)
        return {"one": (one - without) / (more - few), "many": many / made}
    return take


TURNS = {
    "unary": Turn({name: unary(name) for name in ("spool", "grpc", "floor")}, 9, 5),
    "rate64": Turn({**rate("rate_async"), "floor": simple("floor", "--mode=rate", duration=("1s", "0.3s"))}),
    "rate64_blocking": Turn(rate("rate_blocking")),
    "rate16p": Turn({name: sixteen_processes(name) for name in ("spool", "grpc")}, 5, 3),
    "stream": Turn(rate("stream_reader")),
    "stream_hinted": Turn(rate("stream_reader", "--method=DownloadHinted")),
    "stream_reactor": Turn(rate("stream")),
    "echo_1mib": large(1, 200, 50),
    "echo_64mib": large(64, 10, 3),
    # (In a virtual machine gRPC takes a minute or more for each: the first touch of memory is slow there.)
    "echo_1gib": large(1024, 1, 1, rounds=1, seconds=600),
    "echo_1mib_bytes": large(1, 200, 50, "large"),
    "echo_64mib_bytes": large(64, 10, 3, "large"),
    "echo_64mib_bytes_kept": large(64, 10, 3, "large", keep_memory=True),
    "asleep": Turn({"spool": asleep("spool", "--method=InlineEcho"),
                    "pool": asleep("spool", "--method=PooledEcho"),
                    "grpc": asleep("grpc"),
                    "floor": asleep("floor", "--mode=asleep")}, 5, 3),
    "idle": Turn({"spool": idle_sessions}, 1, 1),
    "setup": Turn({name: simple(name, "--mode=setup", calls=(200, 50)) for name in ("spool", "grpc")}, 5, 3),
    "kill": Turn({"spool": kill_server}, 7, 3),
    "first_call": Turn({"spool": simple("spool", "--mode=first_call", "--calls=32", pause=("5s", "3s"))}, 3, 1),
    "net_ops": Turn({"spool": network_operations}, 1, 1),
    "system_calls": Turn({name: system_calls(name) for name in ("spool", "grpc")}, 1, 1),
}


def tidy(directory):
    shutil.rmtree(directory, ignore_errors=True)


def file_system(directory):
    """Its type's name, such as ext4."""
    output = subprocess.run(["stat", "-f", "-c", "%T", directory], check=True, capture_output=True, text=True).stdout
    return {"ext2/ext3": "ext4"}.get(output.strip(), output.strip())
