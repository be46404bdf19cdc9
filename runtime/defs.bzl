"""Rules of the runtime's layers."""

load("//:copts.bzl", "SPOOLRPC_COPTS")

def spoolrpc_runtime_library(name, visibility = None, copts = [], **kwargs):
    """A cc_library of one layer: //runtime/log exports its headers as "spoolrpc/log/...".

    The prefix keeps our headers apart from those of a workspace that uses us. Our own sources are
    C++17 whatever that workspace says, so that where it says too little the one #error of
    generated_code.h is what its owner sees.
    """
    layer = native.package_name()[len("runtime/"):]
    native.cc_library(
        name = name,
        copts = SPOOLRPC_COPTS + ["-std=c++17"] + copts,
        include_prefix = "spoolrpc/" + layer if layer else "spoolrpc",
        visibility = visibility,
        **kwargs
    )
