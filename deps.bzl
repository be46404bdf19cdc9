"""What a workspace needs to build with SpoolRPC.

    local_repository(name = "spoolrpc", path = "...")
    load("@spoolrpc//:deps.bzl", "spoolrpc_dependencies")
    spoolrpc_dependencies()
"""

load("//third_party:system.bzl", "maybe_system_repository")

# Abseil packages that the runtime and generated code name. Debian installs Abseil as one set of
# libraries, so every label here leads to the same one; the labels are Abseil's own, so that a
# workspace that builds Abseil from source can declare `com_google_absl` first and keep it.
_ABSEIL = {
    "absl/algorithm": ["container"],
    "absl/base": ["base", "core_headers"],
    "absl/cleanup": ["cleanup"],
    "absl/container": ["btree", "flat_hash_map", "flat_hash_set", "inlined_vector", "fixed_array"],
    "absl/debugging": ["failure_signal_handler", "symbolize", "stacktrace"],
    "absl/flags": ["flag", "parse", "usage", "config", "reflection", "marshalling", "program_name"],
    "absl/functional": ["any_invocable", "bind_front", "function_ref"],
    "absl/hash": ["hash"],
    "absl/memory": ["memory"],
    "absl/meta": ["type_traits"],
    "absl/numeric": ["bits", "int128"],
    "absl/random": ["random", "bit_gen_ref", "distributions"],
    "absl/status": ["status", "statusor"],
    "absl/strings": ["strings", "cord", "str_format"],
    "absl/synchronization": ["synchronization"],
    "absl/time": ["time"],
    "absl/types": ["optional", "span", "variant", "any"],
    "absl/utility": ["utility"],
}

_ABSEIL_LIBRARIES = [
    "flags_parse", "flags_usage", "flags_usage_internal", "flags_internal", "flags_marshalling",
    "flags_reflection", "flags_config", "flags_private_handle_accessor", "flags_commandlineflag",
    "flags_commandlineflag_internal", "flags_program_name", "statusor", "status", "cord",
    "cordz_info", "cord_internal", "cordz_functions", "cordz_handle", "exponential_biased",
    "random_distributions", "random_seed_sequences", "random_internal_pool_urbg",
    "random_internal_randen", "random_internal_randen_hwaes", "random_internal_randen_hwaes_impl",
    "random_internal_randen_slow", "random_internal_platform", "random_internal_seed_material",
    "random_seed_gen_exception", "raw_hash_set", "hashtablez_sampler", "hash", "city",
    "low_level_hash", "failure_signal_handler", "examine_stack", "synchronization",
    "graphcycles_internal", "stacktrace", "symbolize", "debugging_internal", "demangle_internal",
    "malloc_internal", "time", "civil_time", "time_zone", "bad_variant_access",
    "bad_optional_access", "strerror", "str_format_internal", "strings", "strings_internal",
    "int128", "base", "spinlock_wait", "throw_delegate", "raw_logging_internal", "log_severity",
]

_FORWARD_CC = """
cc_library = native.cc_library
cc_binary = native.cc_binary
cc_test = native.cc_test
cc_import = native.cc_import
cc_proto_library = native.cc_proto_library
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
"""

_FORWARD_JAVA = """
java_library = native.java_library
java_binary = native.java_binary
java_test = native.java_test
java_import = native.java_import
java_proto_library = native.java_proto_library
java_toolchain = native.java_toolchain
java_runtime = native.java_runtime
java_package_configuration = native.java_package_configuration
"""

_FORWARD_PROTO = """
proto_library = native.proto_library
proto_lang_toolchain = native.proto_lang_toolchain
"""

# The well-known types and what each imports.
_WELL_KNOWN = {
    "any": [],
    "api": ["source_context", "type"],
    "descriptor": [],
    "duration": [],
    "empty": [],
    "field_mask": [],
    "source_context": [],
    "struct": [],
    "timestamp": [],
    "type": ["any", "source_context"],
    "wrappers": [],
}

def _system_library(name, libraries, deps = []):
    return """
cc_library(
    name = "%s",
    linkopts = [%s],
    deps = [%s],
)
""" % (
        name,
        ", ".join(['"-l%s"' % library for library in libraries]),
        ", ".join(['"%s"' % dep for dep in deps]),
    )

def _public(body):
    return 'package(default_visibility = ["//visibility:public"])\n' + body

def _abseil_files():
    files = {"BUILD.bazel": _public(_system_library(
        "system",
        ["absl_" + library for library in _ABSEIL_LIBRARIES],
    ))}
    for package, targets in _ABSEIL.items():
        body = ""
        for target in targets:
            body += _system_library(target, [], ["//:system"])
        files[package + "/BUILD.bazel"] = _public(body)
    return files

def _protobuf_files():
    body = _system_library("protobuf", ["protobuf", "pthread"])
    body += _system_library("protobuf_lite", ["protobuf-lite", "pthread"])
    body += _system_library("protoc_lib", ["protoc"], [":protobuf"])
    body += 'exports_files(["protoc"])\n'
    body += """
proto_lang_toolchain(
    name = "cc_toolchain",
    blacklisted_protos = [%s],
    command_line = "--cpp_out=$(OUT)",
    runtime = ":protobuf",
)
""" % ", ".join(['":%s_proto"' % name for name in _WELL_KNOWN])
    for name, deps in _WELL_KNOWN.items():
        body += """
proto_library(
    name = "%s_proto",
    srcs = ["include/google/protobuf/%s.proto"],
    strip_import_prefix = "include",
    deps = [%s],
)
""" % (name, name, ", ".join(['":%s_proto"' % dep for dep in deps]))
    return {"BUILD.bazel": _public(body)}

def spoolrpc_dependencies():
    """Declares what SpoolRPC builds with, except what the workspace has declared already.

    Everything comes from Debian packages (docs/dependencies.md names them); nothing is fetched.
    """
    maybe_system_repository(
        name = "rules_cc",
        files = {
            "BUILD.bazel": "",
            "cc/BUILD.bazel": _public('exports_files(["defs.bzl"])'),
            "cc/defs.bzl": _FORWARD_CC,
        },
    )
    maybe_system_repository(
        name = "rules_java",
        files = {
            "BUILD.bazel": "",
            "java/BUILD.bazel": _public('exports_files(["defs.bzl"])'),
            "java/defs.bzl": _FORWARD_JAVA,
        },
    )
    maybe_system_repository(
        name = "rules_proto",
        files = {
            "BUILD.bazel": "",
            "proto/BUILD.bazel": _public('exports_files(["defs.bzl"])'),
            "proto/defs.bzl": _FORWARD_PROTO,
        },
    )
    maybe_system_repository(
        name = "remote_coverage_tools",
        files = {"BUILD.bazel": _public('filegroup(name = "coverage_report_generator")\n')},
    )
    maybe_system_repository(
        name = "com_google_protobuf",
        files = _protobuf_files(),
        programs = {"protoc": "protoc"},
        links = {
            "include/google/protobuf/%s.proto" % name: "/usr/include/google/protobuf/%s.proto" % name
            for name in _WELL_KNOWN
        },
        package = "protobuf-compiler, libprotobuf-dev and libprotoc-dev",
    )
    maybe_system_repository(
        name = "com_google_absl",
        files = _abseil_files(),
        requires = ["/usr/include/absl/status/status.h"],
        package = "libabsl-dev",
    )
    maybe_system_repository(
        name = "com_github_cyan4973_xxhash",
        files = {"BUILD.bazel": _public(_system_library("xxhash", ["xxhash"]))},
        requires = ["/usr/include/xxhash.h"],
        package = "libxxhash-dev",
    )
    maybe_system_repository(
        name = "com_github_facebook_zstd",
        files = {"BUILD.bazel": _public(_system_library("zstd", ["zstd"]))},
        requires = ["/usr/include/zstd.h"],
        package = "libzstd-dev",
    )
    maybe_system_repository(
        name = "com_google_googletest",
        files = {"BUILD.bazel": _public(
            _system_library("gtest", ["gmock", "gtest", "pthread"]) +
            _system_library("gtest_main", ["gmock_main"], [":gtest"]),
        )},
        requires = ["/usr/include/gtest/gtest.h", "/usr/include/gmock/gmock.h"],
        package = "libgtest-dev and libgmock-dev",
    )
