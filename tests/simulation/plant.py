#!/usr/bin/env python3
"""plant.py FILE [OLD NEW]...: prints FILE with each OLD, which must be in it exactly once, replaced by its NEW."""

import sys


def main():
    path, words = sys.argv[1], sys.argv[2:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for old, new in zip(words[::2], words[1::2]):
        found = text.count(old)
        if found != 1:
            sys.exit(f"plant.py: {path} has {old!r} {found} times, not once: adapt tests/simulation/BUILD")
        text = text.replace(old, new)
    sys.stdout.write(text)


main()
