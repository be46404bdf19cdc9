"""Errors planted in the runtime, each of which the simulation must find."""

load("//:copts.bzl", "SPOOLRPC_COPTS")

def planted_test(name, source, changes, deps, seeds, first = 1, flags = []):
    """A test that succeeds if a runtime with that error breaks a promise in one of `seeds` worlds.

    The error is made in a copy of one of the runtime's own files. The program has the copy in it, and
    its definitions win over those of the shared library.

    Args:
      name: of the test.
      source: label of the file.
      changes: what becomes of which text of it; each text must be there exactly once.
      deps: the library that the file belongs to.
      seeds: at most so many worlds are tried.
      first: their first seed; a little before one that found it, to save time. (A change of the
          runtime moves it.)
      flags: others of simulate's, such as those that make it find this error sooner.
    """
    native.genrule(
        name = name + "_source",
        testonly = True,
        srcs = [source],
        outs = [name + "_planted.cc"],
        # (In single quotes: no expression here has one.)
        cmd = "$(location :plant.py) $< %s > $@" % " ".join(
            ["'%s' '%s'" % (old, new) for old, new in changes.items()],
        ),
        tools = [":plant.py"],
    )
    native.cc_test(
        name = name,
        size = "large",
        srcs = [
            "simulate.cc",
            name + "_planted.cc",
        ],
        args = [
            "--expect_broken",
            "--give_up=1",
            "--seed=%d" % first,
            "--seeds=%d" % seeds,
        ] + flags,
        copts = SPOOLRPC_COPTS,
        # The sanitizers have threads and clocks of their own.
        tags = ["no-san"],
        deps = SIMULATE_DEPS + deps,
    )

SIMULATE_DEPS = [
    ":interpose",
    ":world",
    "@com_google_absl//absl/flags:flag",
    "@com_google_absl//absl/flags:parse",
    "@com_google_absl//absl/flags:usage",
    "@com_google_absl//absl/time",
]
