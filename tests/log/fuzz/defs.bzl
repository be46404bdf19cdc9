"""Fuzz targets of the log."""

load("//:copts.bzl", "SPOOLRPC_COPTS")

def log_fuzz_target(name, deps = []):
    """A libFuzzer target in NAME.cc with its seed corpus in corpus/NAME without "_fuzz".

    NAME is the fuzzer (manual: it takes clang); NAME_replay_test runs the target over the corpus
    and random changes of it, and is built by any compiler.
    """
    corpus = native.glob(["corpus/%s/*" % name[:-len("_fuzz")]])
    native.cc_library(
        name = name + "_target",
        testonly = True,
        srcs = [
            name + ".cc",
            "fuzz_input.h",
        ],
        copts = SPOOLRPC_COPTS,
        deps = deps,
        alwayslink = True,
    )
    native.cc_binary(
        name = name,
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":" + name + "_target"],
    )
    native.cc_test(
        name = name + "_replay_test",
        size = "small",
        srcs = [
            "fuzz_input.h",
            "replay_main.cc",
        ],
        args = ["$(location %s)" % file for file in corpus],
        copts = SPOOLRPC_COPTS,
        data = corpus,
        deps = [
            ":" + name + "_target",
            "//tests/testing:seed",
        ],
    )
