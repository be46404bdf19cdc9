"""The plan of a storm: what happens to whom and when, all drawn from one seed.

The same seed and the same lengths give the same plan. What the processes then do at that moment is the machine's affair.
"""

import random

SERVERS, CLIENTS = "server", "client"
# A minute of a storm: the fault, of whom, how often.
EACH_MINUTE = (
    ("kill", SERVERS, 8), ("kill", CLIENTS, 22),
    ("stop", SERVERS, 4), ("stop", CLIENTS, 8),  # beyond any lease
    ("pause", SERVERS, 5), ("pause", CLIENTS, 8),  # within it
    ("leave", SERVERS, 3), ("leave", CLIENTS, 4),
    ("freeze", None, 2),
)
# In which files bytes are damaged, of whose, and how often. Records: only where there are minutes to wait until
# it is known whose they were.
DAMAGES = (("responses", CLIENTS, 6), ("requests", SERVERS, 6),
           ("call", None, 1), ("claim", None, 1), ("started", None, 1), ("reply", None, 1))
DAMAGES_OF_RECORDS = (("session", CLIENTS, 1), ("verdict", SERVERS, 1), ("server", SERVERS, 0.5), ("lease", SERVERS, 1))
HOWS = ("flip", "flip", "zero", "truncate", "head")


class Fault:
    """At `at` seconds from the beginning; `lasts` seconds, where it lasts. `number` is for whoever has to choose."""

    def __init__(self, at, what, group, victim, lasts, how, number):
        self.at, self.what, self.group, self.victim = at, what, group, victim
        self.lasts, self.how, self.number = lasts, how, number

    def __str__(self):
        whom = "" if self.group is None else f" {self.group} {self.victim}"
        lasts = f" for {self.lasts:.2f} s" if self.lasts else ""
        return f"{self.at:7.2f} {self.what}{whom}{lasts}{' ' + self.how if self.how else ''}"


def make_plan(seed, seconds, servers, clients, intensity, longest_term, records):
    """The faults in the order of their times. `intensity` multiplies how many there are."""
    draw = random.Random(f"plan {seed}")
    faults = []

    def add(what, group, often, how=None):
        # (At least one of each, so that the short ones have them all.)
        for _ in range(max(1, round(often * intensity * seconds / 60))):
            victim = draw.randrange({SERVERS: servers, CLIENTS: clients, None: 1}[group])
            lasts = {"stop": draw.uniform(1.2, 3) * longest_term, "pause": draw.uniform(0.05, 0.5),
                     "freeze": draw.uniform(1.1, 2) * longest_term}.get(what, 0)
            faults.append(Fault(draw.uniform(1, seconds), what, group, victim, lasts, how and draw.choice(how),
                                draw.randrange(1 << 30)))

    for what, group, often in EACH_MINUTE:
        add(what, group, often)
    for what, group, often in DAMAGES + (DAMAGES_OF_RECORDS if records else ()):
        add("damage " + what, group, often, HOWS)
    return sorted(faults, key=lambda fault: fault.at)


def flags_of(seed, name, group, terms):
    """How a process is started: each life of each is another."""
    draw = random.Random(f"{name} {seed}")
    flags = [f"--name={name}", f"--lease_term={draw.choice(terms)}s"]
    if draw.random() < 0.25:
        flags.append("--network")
    if draw.random() < 0.5:
        flags.append("--other_host")
    if group == CLIENTS:
        flags.append(f"--seed={draw.randrange(1 << 60)}")
    return flags
