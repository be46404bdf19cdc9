#!/usr/bin/env python3
"""Writes compile_commands.json, which clang-tidy and clangd read, from what Bazel would run.

    tools/compile_commands.py [--output FILE] [--bazel-startup OPTION]... [BAZEL_OPTION]... PATTERN...

The options must be those of a build that ran before, so that the generated headers are there. Entries are relative to
Bazel's execution root, which links to the sources.
"""

import argparse
import json
import os
import subprocess
import sys


def bazel(startup, *words):
    result = subprocess.run(["bazel", *startup, *words], stdout=subprocess.PIPE, check=False)
    if result.returncode != 0:
        sys.exit("tools/compile_commands.py: bazel %s failed" % words[0])
    return result.stdout.decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="compile_commands.json")
    parser.add_argument("--bazel-startup", action="append", default=[])
    arguments, rest = parser.parse_known_args()
    options = [word for word in rest if word.startswith("--")]
    patterns = [word for word in rest if not word.startswith("--")]
    if not patterns:
        parser.error("no PATTERN")

    root = bazel(arguments.bazel_startup, "info", "execution_root", "--noshow_progress").strip()
    query = 'mnemonic("CppCompile", %s)' % " + ".join(patterns)
    text = bazel(arguments.bazel_startup, "aquery", *options, "--noshow_progress", "--output=jsonproto", query)
    commands = {}
    for action in json.loads(text).get("actions", []):
        words = action["arguments"]
        source = words[words.index("-c") + 1]
        # Generated sources are others' style.
        if source.startswith(("bazel-out/", "external/")):
            continue
        commands[source] = {"directory": root, "file": os.path.join(root, source), "arguments": words}
    with open(arguments.output, "w") as output:
        json.dump(sorted(commands.values(), key=lambda command: command["file"]), output, indent=1)


if __name__ == "__main__":
    main()
