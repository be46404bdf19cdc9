"""Starting the contenders' programs and reading what they print: lines of NAME=NUMBER words.

A server and an idle client run until their standard input ends, that is: until this process closes it or ends. What
fails, or takes too long, raises Failed, which says what was run; nothing that was started outlives its owner's close().
"""

import os
import subprocess
import threading
import time


class Failed(Exception):
    """A program failed, hung or said something else than expected."""


def numbers(line):
    """The NAME=NUMBER words of a line, by name; other words are left out."""
    found = {}
    for word in line.split():
        name, _, value = word.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            pass
    return found


def brief(command):
    return " ".join([os.path.basename(command[0]), *command[1:]])


class Program:
    """A running program. close() ends its input and waits for its end; as a context manager, at the block's end."""

    def __init__(self, command, environment=None):
        """`environment`: variables beside this process's own."""
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def await_ready(self, seconds=60):
        """Waits for the line `ready`."""
        line = self._within(seconds, self.process.stdout.readline)
        if line != "ready\n":
            raise Failed(f"{brief(self.command)}: did not get ready; it said: {line!r}")

    def start(self):
        """Gives it the line of input that it waits for."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def results(self, seconds=120):
        """Waits for its end; the numbers of its last line. Its input ends."""
        self.process.stdin.close()
        output = self._within(seconds, self.process.stdout.read)
        if self.process.wait() != 0:
            raise Failed(f"{brief(self.command)}: exit status {self.process.returncode}")
        return numbers(output.strip().rpartition("\n")[2])

    def close(self, seconds=60):
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def _within(self, seconds, read):
        """What read() returns; kills the program if that takes longer."""
        late = threading.Event()

        def end():
            late.set()
            self.process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            result = read()
        finally:
            timer.cancel()
        if late.is_set():
            self.process.wait()
            raise Failed(f"{brief(self.command)}: killed after {seconds} s")
        return result


def run(command, seconds=120, environment=None):
    """Runs a program to its end; the numbers of the last line of its output."""
    with Program(command, environment) as program:
        return program.results(seconds)


def start_server(command, seconds=60, environment=None):
    """A Program that has said that it is ready."""
    server = Program(command, environment)
    try:
        server.await_ready(seconds)
    except Failed:
        server.close()
        raise
    return server


def cpu_seconds(pid):
    """User and system time of a process so far."""
    return time.clock_gettime((~pid << 3) | 2)  # (as clock_getcpuclockid() makes it)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise Failed(f"/proc/{pid}/status has no VmRSS")


def disk_kib(directory):
    """The blocks of everything below it. Files may come and go meanwhile."""
    blocks = 0
    for parent, directories, files in os.walk(directory):
        for name in directories + files:
            try:
                blocks += os.lstat(os.path.join(parent, name)).st_blocks
            except FileNotFoundError:
                pass
    return blocks / 2
