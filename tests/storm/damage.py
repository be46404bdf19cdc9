"""Damages files of a spool as a storm's plan says, and tells whose they were.

Knows of the format (docs/format.md) where the names are, and what a frame looks like.
"""

import os
import re
import struct

SESSION = re.compile(r"/sessions/([0-9a-f]{32})/(requests|responses|record)$")
SERVER = re.compile(r"/servers/([0-9a-f]{32})/")
# docs/format.md, section 3.
FRAMES = set(range(1, 12)) | {255}
AROUND = 2048  # bytes
# Of records and heads. What claims to be of another version is left alone by all rules, also by collectors.
VERSION = (8, 9)
TICKET = re.compile(r"[0-9a-f]{32}")


def open_files(pid):
    """Paths that a process has open."""
    paths = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                paths.add(os.readlink(f"/proc/{pid}/fd/{name}"))
            except OSError:
                pass
    except OSError:
        pass
    return sorted(path for path in paths if not path.endswith(" (deleted)"))


def owner(processes, match):
    """Of {name: pid} the one that has a file open whose path matches; "" if none has."""
    for name, pid in processes.items():
        if any(match(path) for path in open_files(pid)):
            return name
    return ""


def candidates(what, spool, pid):
    """Files of that kind: of the process's sessions, or of any durable call."""
    files = open_files(pid) if pid else []
    if what in ("requests", "responses"):
        return [path for path in files if path.startswith(spool) and path.endswith("/" + what)]
    if what == "session":
        return [path[:-len("requests")] + "record" for path in files if re.search(r"/sessions/\w{32}/requests$", path)]
    if what in ("verdict", "server", "lease"):
        directories = sorted({match.group(0) for match in map(SERVER.search, files) if match})
        if not directories:
            return []
        directory = spool + directories[0]
        if what == "verdict":
            return [directory + "verdicts/" + name for name in sorted(list_directory(directory + "verdicts"))]
        return [directory + {"server": "record", "lease": "lease"}[what]]
    found = []
    for ticket in sorted(list_directory(spool + "/durable"))[-200:]:
        if TICKET.fullmatch(ticket):
            found += [f"{spool}/durable/{ticket}/{name}" for name in list_directory(f"{spool}/durable/{ticket}")
                      if name.split(".")[0] == what]
    return sorted(found)


def list_directory(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def newest(ring):
    """Where in a log's ring the newest frame ends; 0 in an empty one. The head lags behind by up to some terms."""
    last, end = 0, 0
    for place in range(0, len(ring) - 39, 8):
        length, kind, _, zero, _, sequence = struct.unpack_from("<IBBHQQ", ring, place)
        if 40 <= length <= len(ring) - place and kind in FRAMES and zero == 0 and last < sequence < 1 << 40:
            last, end = sequence, place + length
    return end


def change(path, how, number):
    """Changes the file; true if it was there and anything was changed."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        size = os.fstat(fd).st_size
        if size == 0:
            return False
        if how == "truncate":
            os.ftruncate(fd, size // 2)
            return True
        log = os.pread(fd, 64, 0)
        # (A lease has no ring.)
        if log[:8] == b"SPOOLLOG" and how != "head" and struct.unpack_from("<Q", log, 32)[0] > 0:
            # Where the newest frames are, and where the next ones will be: some of each.
            ring = os.pread(fd, size, 4096)
            end = newest(ring)
            places = [4096 + (end + shift) % len(ring) for shift in range(-AROUND, AROUND // 4, 37)] if ring else []
        else:
            most = 64 if log[:8] == b"SPOOLLOG" else min(size, 4096)
            places = [number * (i + 1) % most for i in range(16)]
        for place in places:
            if place < size and place not in VERSION:
                byte = os.pread(fd, 1, place)
                os.pwrite(fd, b"\0" if how == "zero" else bytes([byte[0] ^ 0xA5]), place)
        return len(places) > 0
    finally:
        os.close(fd)
