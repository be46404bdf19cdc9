#!/usr/bin/env python3
"""A fault storm: servers and clients are killed, stopped and resumed, their files damaged and their file system stalled,
all at random; then checker.py looks through what they have noted. storm.sh has the options for people.

The processes' histories are outside the spool. The spool is on a file system of its own, which fsfreeze stalls, where
this process may mount one; otherwise a line says that there are no stalls.
"""

import argparse
import heapq
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
# pylint: disable=wrong-import-position
import damage
from plan import CLIENTS, SERVERS, flags_of, make_plan

PATIENCE = 180  # seconds: longer than calls, a drain or an end takes on a busy machine


class Notes:
    """The storm's own history (histories.py)."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what, *fields):
        line = " ".join([what, str(time.monotonic_ns()), *(str(field) or "-" for field in fields)])
        os.write(self.fd, (line + "\n").encode())


class Member:
    """A place of the storm, in which one process follows another."""

    def __init__(self, group, number):
        self.group, self.number, self.life = group, number, 0
        self.process = None
        self.stopped = self.leaving = False

    name = property(lambda self: f"{self.group[0]}{self.number}i{self.life}")
    alive = property(lambda self: self.process is not None)


class Storm:
    def __init__(self, flags, scratch, spool, can_freeze):
        self.flags, self.scratch, self.spool, self.can_freeze = flags, scratch, spool, can_freeze
        self.histories = os.path.join(scratch, "histories")
        self.errors = os.path.join(scratch, "errors")
        os.mkdir(self.histories)
        os.mkdir(self.errors)
        self.notes = Notes(os.path.join(self.histories, "storm.log"))
        self.members = [Member(SERVERS, i) for i in range(flags.servers)]
        self.members += [Member(CLIENTS, i) for i in range(flags.clients)]
        self.events, self.order = [], itertools.count()
        self.freezer = None
        self.storming = True
        self.foreign_pids = set()
        self.missed = 0

    def of(self, group):
        return [member for member in self.members if member.group == group]

    def at(self, when, action, *arguments):
        heapq.heappush(self.events, (when, next(self.order), action, arguments))

    def after(self, seconds, action, *arguments):
        self.at(time.monotonic() + seconds, action, *arguments)

    # Processes.

    def launch(self, name, group, flags):
        program = self.flags.server if group == SERVERS else self.flags.client
        flags = flags + [f"--spool={self.spool}", f"--history={self.histories}/{name}.log"]
        if group == CLIENTS:
            flags += [f"--tickets={self.scratch}/tickets", f"--pause={self.flags.pause}ms"]
        # Blocked from its very beginning: it may be told to end before it has come to that itself.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        with open(f"{self.errors}/{name}.stderr", "wb") as errors:
            process = subprocess.Popen([program] + flags, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=errors)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        if "--other_host" in flags:
            self.foreign_pids.add(process.pid)
        term = next((flag[len("--lease_term="):-1] for flag in flags if flag.startswith("--lease_term=")), 1.0)
        self.notes.note("start", name, process.pid, term)
        return process

    def start(self, member):
        if member.alive:
            return
        member.life += 1
        member.stopped = member.leaving = False
        member.process = self.launch(member.name, member.group,
                                     flags_of(self.flags.seed, member.name, member.group, self.flags.terms))

    def reap(self):
        for member in self.members:
            if member.alive and member.process.poll() is not None:
                self.cont(member, member.name)
                self.notes.note("exit", member.name, member.process.returncode)
                member.process = None
                if self.storming:
                    pause = random.Random(f"after {member.name} {self.flags.seed}").uniform(0.05, 1.5)
                    self.after(pause, self.start, member)

    def cont(self, member, name):
        if member.stopped and member.name == name:
            member.stopped = False
            self.notes.note("cont", name)
            if member.alive:
                member.process.send_signal(signal.SIGCONT)

    # Faults.

    def strike(self, fault):
        member = None if fault.group is None else self.of(fault.group)[fault.victim]
        if member is not None and not member.alive:
            self.missed += 1
            return
        what, _, file = fault.what.partition(" ")
        getattr(self, "do_" + what)(fault, member, file)

    def do_kill(self, _, member, __):
        self.notes.note("kill", member.name)
        member.process.kill()

    def do_stop(self, fault, member, _):
        if member.stopped:
            self.missed += 1
            return
        member.stopped = True
        self.notes.note("stop", member.name)
        member.process.send_signal(signal.SIGSTOP)
        self.after(fault.lasts, self.cont, member, member.name)

    do_pause = do_stop

    def do_leave(self, _, member, __):
        self.leave(member)

    def leave(self, member):
        if not member.leaving:
            member.leaving = True
            self.notes.note("leave", member.name)
            member.process.terminate()

    def do_freeze(self, fault, _, __):
        if not self.can_freeze or self.freezer is not None:
            self.missed += 1
            return
        self.notes.note("freeze")
        # In a session of its own: it thaws whatever becomes of this process.
        self.freezer = subprocess.Popen(
            ["setsid", "sh", "-c", 'fsfreeze -f "$1"; sleep "$2"; fsfreeze -u "$1"', "sh", self.spool_root(),
             f"{fault.lasts:.2f}"])

    def spool_root(self):
        return os.path.dirname(self.spool)

    def thaw(self, wait=False):
        if self.freezer is not None and (wait or self.freezer.poll() is not None):
            self.freezer.wait()
            self.freezer = None
            self.notes.note("thaw")

    def do_damage(self, fault, member, file):
        # (Writing would wait for the thaw.)
        if self.freezer is not None:
            self.after(0.2, self.strike, fault)
            return
        # What a reader has not read yet is hit oftener while it is stopped.
        if member is not None and not member.stopped and fault.number % 4 != 0:
            member.stopped = True
            self.notes.note("stop", member.name)
            member.process.send_signal(signal.SIGSTOP)
            self.after(0.4, self.damage, fault, member, member.name, file)
            self.after(0.45, self.cont, member, member.name)
        else:
            self.damage(fault, member, member.name if member else None, file)

    def damage(self, fault, member, name, file):
        if self.freezer is not None or (member is not None and (not member.alive or member.name != name)):
            self.missed += 1
            return
        paths = damage.candidates(file, self.spool, member.process.pid if member else None)
        if not paths:
            self.missed += 1
            return
        path = paths[fault.number % len(paths)]
        short = path[len(self.spool) + 1:]
        client = server = ticket = ""
        if file in ("requests", "responses", "session", "verdict"):
            session = path.split("/")[-1] if file == "verdict" else path.split("/")[-2]
            client = damage.owner({one.name: one.process.pid for one in self.of(CLIENTS) if one.alive},
                                  lambda each: f"/sessions/{session}/" in each)
        if member is not None and member.group == SERVERS:
            server = member.name
        if short.startswith("durable/"):
            ticket = short.split("/")[1]
        # Noted before, so that nothing can come of it earlier.
        self.notes.note("damage", file, client, server, ticket, short, fault.how)
        if not damage.change(path, fault.how, fault.number):
            self.missed += 1

    # The whole.

    def step(self, until):
        """Does what is due, for one turn."""
        self.reap()
        self.thaw()
        now = time.monotonic()
        while self.events and self.events[0][0] <= now:
            _, _, action, arguments = heapq.heappop(self.events)
            action(*arguments)
        due = min([until] + [event[0] for event in self.events[:1]])
        time.sleep(max(0.0, min(0.02, due - time.monotonic())))

    def rage(self, plan):
        for member in self.members:
            self.start(member)
        begin = time.monotonic()
        for fault in plan:
            self.at(begin + fault.at, self.strike, fault)
        told = begin
        while time.monotonic() < begin + self.flags.seconds:
            self.step(begin + self.flags.seconds)
            if time.monotonic() > told + 30:
                told = time.monotonic()
                print(f"{begin + self.flags.seconds - told:.0f} s to go", flush=True)
        self.storming = False
        self.events = []
        self.thaw(wait=True)
        for member in self.members:
            self.cont(member, member.name)
        self.reap()

    def await_end(self, members):
        until = time.monotonic() + PATIENCE
        while any(member.alive for member in members) and time.monotonic() < until:
            self.step(until)
        for member in members:
            if member.alive:
                self.notes.note("hang", member.name)
                show_threads(member.name, member.process.pid)
                member.process.kill()
                member.process.wait()
        self.reap()

    def calm_down(self):
        """Lets everything end in order, collects, and lists what is left."""
        for member in self.of(SERVERS):
            self.start(member)
        for member in self.of(CLIENTS):
            if member.alive:
                self.leave(member)
        self.await_end(self.of(CLIENTS))
        last = Member(CLIENTS, self.flags.clients)
        last.life = 1
        self.members.append(last)
        self.write_tickets()
        self.notes.note("leave", last.name)
        last.process = self.launch(last.name, CLIENTS, [f"--collect={self.scratch}/collect", f"--name={last.name}"])
        # (A ticket that nobody answers costs a minute.)
        for _ in range(4):
            if last.alive:
                until = time.monotonic() + PATIENCE
                while last.alive and time.monotonic() < until:
                    self.step(until)
        self.await_end([last])
        for member in self.of(SERVERS):
            if member.alive:
                self.leave(member)
        self.await_end(self.of(SERVERS))
        self.age_foreign_temporaries()
        with open(f"{self.scratch}/gc", "wb") as said:
            gc = subprocess.run([self.flags.spoolrpc, "gc", self.spool, "--wait=6m"], stdout=said, stderr=said,
                                check=False)
        self.notes.note("gc", gc.returncode)
        for directory, names, files in os.walk(self.spool):
            for name in sorted(names + files):
                self.notes.note("left", os.path.relpath(os.path.join(directory, name), self.spool).replace(" ", "_"))
        self.notes.note("end")

    def write_tickets(self):
        with open(f"{self.scratch}/collect", "w", encoding="utf-8") as out:
            for name in sorted(os.listdir(self.histories)):
                with open(f"{self.histories}/{name}", encoding="utf-8", errors="replace") as history:
                    for line in history:
                        if line.startswith("ticket ") and line.endswith("\n"):
                            out.write(line.split()[3] + "\n")

    def age_foreign_temporaries(self):
        """Whether a maker on another host is dead is known of his temporary names when they are an hour old."""
        boots = {f"{pid:08x}" for pid in self.foreign_pids}
        for directory, names, files in os.walk(self.spool):
            for name in names + files:
                if name.startswith(".tmp-") and name.split("-")[1] in boots:
                    path = os.path.join(directory, name)
                    os.utime(path, (time.time() - 7200,) * 2, follow_symlinks=False)


def show_threads(name, pid):
    """Where the threads of a process are that does not end."""
    print(f"{name} (pid {pid}) does not end:")
    gdb = shutil.which("gdb")
    if gdb:
        subprocess.run([gdb, "-p", str(pid), "-batch", "-ex", "thread apply all bt 12"], check=False)
        return
    for task in sorted(os.listdir(f"/proc/{pid}/task")):
        try:
            with open(f"/proc/{pid}/task/{task}/wchan", encoding="utf-8") as wchan:
                print(f"  thread {task}: {wchan.read()}")
        except OSError:
            pass


def make_mount(scratch):
    """A directory on a file system that can be frozen, or why there is none."""
    mount = os.path.join(scratch, "mount")
    os.mkdir(mount)
    if "SPOOLRPC_STORM_UNSHARED" not in os.environ:
        return None, "it takes root, and leave to make a mount namespace"
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4 << 30 else scratch
    image = os.path.join(memory, f"spoolrpc-storm-{os.getpid()}")
    try:
        with open(image, "wb") as file:
            file.truncate(1 << 30)
        for command in (["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-N", "65536", image],
                        ["mount", "-o", "loop,noatime", image, mount], ["fsfreeze", "-f", mount],
                        ["fsfreeze", "-u", mount]):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode != 0:
                return None, f"{command[0]}: {done.stdout.decode().strip()}"
    except OSError as error:
        return None, str(error)
    finally:
        os.unlink(image)
    return mount, ""


def enter_namespace():
    """Goes on in a mount namespace of its own, if that may be."""
    if os.getuid() != 0 or "SPOOLRPC_STORM_UNSHARED" in os.environ or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        os.environ["SPOOLRPC_STORM_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])


def parse_flags():
    parser = argparse.ArgumentParser()
    for program in ("server", "client", "spoolrpc", "checker"):
        parser.add_argument(f"--{program}", required=True, type=os.path.abspath, help="the program")
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--intensity", type=float, default=1.0, help="multiplies how many faults there are")
    parser.add_argument("--pause", type=int, default=500, help="the mean between calls of a thread, in milliseconds")
    parser.add_argument("--terms", type=lambda text: [float(term) for term in text.split(",")], default=[1.0, 2.0],
                        help="leases, seconds")
    parser.add_argument("--slack", type=float, default=20.0, help="how late a call may end, seconds")
    parser.add_argument("--records", action="store_true", help="damage records too; what they leave is known later")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--spool", help="a directory on the file system of the spool, which is then not stalled")
    parser.add_argument("--keep", help="where the histories are kept")
    return parser.parse_args()


def main():
    enter_namespace()
    flags = parse_flags()
    if flags.seed is None:
        flags.seed = int(os.environ.get("SPOOLRPC_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"SPOOLRPC_TEST_SEED={flags.seed} (--seed): the same plan again; what the processes do then is the machine's "
          "affair", flush=True)
    scratch = flags.keep or tempfile.mkdtemp(prefix="spoolrpc-storm-", dir=os.environ.get("TEST_TMPDIR"))
    os.makedirs(scratch, exist_ok=True)
    why = "--spool was given"
    mount = None
    if flags.spool is None:
        mount, why = make_mount(scratch)
    if mount is None:
        print(f"no stalls of the file system: {why}", flush=True)
    spool = os.path.join(mount or flags.spool or scratch, "spool")
    plan = make_plan(flags.seed, flags.seconds, flags.servers, flags.clients, flags.intensity, max(flags.terms),
                     flags.records)
    with open(os.path.join(scratch, "plan"), "w", encoding="utf-8") as out:
        out.writelines(f"{fault}\n" for fault in plan)
    print(f"{len(plan)} faults are planned: {scratch}/plan", flush=True)
    storm = Storm(flags, scratch, spool, mount is not None)
    storm.notes.note("seed", flags.seed)
    status = 1
    try:
        storm.rage(plan)
        storm.calm_down()
        if storm.missed:
            print(f"{storm.missed} faults found nobody or nothing to strike", flush=True)
        status = subprocess.run([flags.checker, storm.histories, f"--slack={flags.slack}"], check=False).returncode
        if status != 0 and mount is not None:
            shutil.copytree(spool, os.path.join(scratch, "spool"))
        if status == 0 and flags.spool is not None:
            shutil.rmtree(spool)
    finally:
        storm.thaw(wait=True)
        for member in storm.members:
            if member.alive:
                member.process.kill()
                member.process.wait()
        if mount is not None:
            subprocess.run(["umount", "-l", mount], check=False)
    outputs = os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR")
    if status != 0 and outputs and not flags.keep:
        shutil.move(scratch, os.path.join(outputs, "storm"))
        scratch = os.path.join(outputs, "storm")
    if flags.keep or status != 0:
        print(f"histories, and what was said on stderr: {scratch}")
    else:
        shutil.rmtree(scratch)
    return status


if __name__ == "__main__":
    sys.exit(main())
