"""What only SpoolRPC's own tests, benchmarks and examples need."""

load("//third_party:system.bzl", "maybe_system_repository")

def _library(name, libraries):
    return """
package(default_visibility = ["//visibility:public"])
cc_library(
    name = "%s",
    linkopts = [%s],
)
""" % (name, ", ".join(['"-l%s"' % library for library in libraries]))

def spoolrpc_dev_dependencies():
    maybe_system_repository(
        name = "com_github_google_benchmark",
        files = {"BUILD.bazel": _library("benchmark", ["benchmark", "pthread"])},
        requires = ["/usr/include/benchmark/benchmark.h"],
        package = "libbenchmark-dev",
    )
    maybe_system_repository(
        name = "com_github_grpc_grpc",
        files = {"BUILD.bazel": _library("grpc++", ["grpc++", "grpc", "gpr"]) +
                                'exports_files(["grpc_cpp_plugin"])\n'},
        programs = {"grpc_cpp_plugin": "grpc_cpp_plugin"},
        requires = ["/usr/include/grpcpp/grpcpp.h"],
        package = "libgrpc++-dev and protobuf-compiler-grpc",
    )
    maybe_system_repository(
        name = "curl",
        files = {"BUILD.bazel": _library("curl", ["curl"])},
        requires = ["/usr/include/x86_64-linux-gnu/curl/curl.h"],
        package = "libcurl4-openssl-dev",
    )
