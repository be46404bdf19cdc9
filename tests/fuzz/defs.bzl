"""Fuzz targets."""

load("//:copts.bzl", "SPOOLRPC_COPTS")

def spoolrpc_fuzz_target(name, hdrs = [], deps = []):
    """A libFuzzer target in NAME.cc with its seed corpus in corpus/NAME without "_fuzz".

    NAME is the fuzzer (manual: it takes clang, and tests/fuzz/fuzz.sh builds it);
    NAME_replay_test runs the target over the corpus and random changes of it, and is built by any
    compiler. Without a corpus that test fails.
    """
    corpus = native.glob(["corpus/%s/*" % name[:-len("_fuzz")]])
    native.cc_library(
        name = name + "_target",
        testonly = True,
        srcs = [name + ".cc"] + hdrs,
        copts = SPOOLRPC_COPTS,
        deps = deps + ["//tests/fuzz:fuzz_input"],
        alwayslink = True,
    )
    native.cc_binary(
        name = name,
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = [
            "fuzz",
            "manual",
        ],
        deps = [":" + name + "_target"],
    )
    native.cc_test(
        name = name + "_replay_test",
        size = "small",
        args = ["$(location %s)" % file for file in corpus],
        data = corpus,
        deps = [
            ":" + name + "_target",
            "//tests/fuzz:replay_main",
        ],
    )
