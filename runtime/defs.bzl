"""Rules of the runtime's layers."""

load("//:copts.bzl", "SPOOLRPC_COPTS")

def spoolrpc_runtime_library(name, visibility = None, copts = [], **kwargs):
    """A cc_library of one layer: //runtime/log exports its headers as "spoolrpc/log/...".

    The prefix keeps our headers apart from those of a workspace that uses us.
    """
    layer = native.package_name()[len("runtime/"):]
    native.cc_library(
        name = name,
        copts = SPOOLRPC_COPTS + copts,
        include_prefix = "spoolrpc/" + layer if layer else "spoolrpc",
        visibility = visibility,
        **kwargs
    )
