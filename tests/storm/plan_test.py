#!/usr/bin/env python3
"""A storm can be replayed, strikes as often as it says, and damages what it says."""

import os
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
# pylint: disable=wrong-import-position
import damage
from plan import flags_of, make_plan


def plan(seed, seconds=600):
    return [str(fault) for fault in make_plan(seed, seconds, 3, 32, 1.0, 2.0, True)]


class PlanTest(unittest.TestCase):
    def test_the_same_seed_gives_the_same_plan(self):
        self.assertEqual(plan(1), plan(1))
        self.assertNotEqual(plan(1), plan(2))
        self.assertEqual(flags_of(1, "c1i1", "client", [1, 2]), flags_of(1, "c1i1", "client", [1, 2]))
        self.assertNotEqual([flags_of(1, f"c{i}i1", "client", [1, 2]) for i in range(32)],
                            [flags_of(2, f"c{i}i1", "client", [1, 2]) for i in range(32)])

    def test_ten_minutes_have_their_kills(self):
        self.assertGreaterEqual(sum(" kill " in fault for fault in plan(1)), 250)

    def test_a_short_one_has_a_fault_of_each_kind(self):
        kinds = {" ".join(fault.split()[1:3]).split(" client")[0].split(" server")[0] for fault in plan(1, 20)}
        for kind in ("kill", "stop", "pause", "leave", "freeze for", "damage requests", "damage reply"):
            self.assertIn(kind, kinds)

    def test_stops_are_longer_than_a_lease(self):
        for fault in make_plan(1, 600, 3, 32, 1.0, 2.0, True):
            if fault.what in ("stop", "freeze"):
                self.assertGreater(fault.lasts, 2.0)
            if fault.what == "pause":
                self.assertLess(fault.lasts, 1.0)


class DamageTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = os.path.join(self.directory.name, "file")

    def write(self, content):
        with open(self.path, "wb") as out:
            out.write(content)

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()

    def test_every_way_changes_the_file(self):
        for how in ("flip", "zero", "truncate", "head"):
            self.write(b"x" * 500)
            self.assertTrue(damage.change(self.path, how, 12345))
            self.assertNotEqual(self.read(), b"x" * 500)
            self.assertEqual(self.read()[8:10], b"xx", "another version is no damage")

    def test_of_a_log_the_newest_frames(self):
        def frame(sequence, size):
            return struct.pack("<IBBHQQQQ", 40 + size, 3, 0, 0, 99, sequence, 0, 7) + b"x" * size

        # It has begun another lap: what is behind the newest frame is old.
        ring = frame(4, 960) + frame(5, 2960) + frame(3, 60).ljust(8192, b"\0")
        log = b"SPOOLLOG".ljust(32, b"\1") + struct.pack("<Q", len(ring))
        log = log.ljust(4096, b"\0") + ring
        self.write(log)
        self.assertEqual(damage.newest(ring), 4000)
        self.assertTrue(damage.change(self.path, "flip", 12345))
        changed = [i for i, (old, new) in enumerate(zip(log, self.read())) if old != new]
        self.assertEqual(min(changed), 4096 + 4000 - damage.AROUND)
        self.assertGreater(max(changed), 4096 + 4000)

    def test_of_a_lease_its_head(self):
        lease = b"SPOOLLOG".ljust(68 << 10, b"\0")
        self.write(lease)
        self.assertTrue(damage.change(self.path, "flip", 12345))
        self.assertNotEqual(self.read()[:64], lease[:64])
        self.assertEqual(self.read()[64:], lease[64:])

    def test_what_is_gone_cannot_be_damaged(self):
        self.assertFalse(damage.change(self.path, "flip", 1))


if __name__ == "__main__":
    unittest.main()
