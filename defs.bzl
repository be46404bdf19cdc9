"""Rules for workspaces that use SpoolRPC.

    load("@spoolrpc//:defs.bzl", "spoolrpc_cc_library")

    proto_library(name = "x_proto", srcs = ["x.proto"])
    cc_proto_library(name = "x_cc_proto", deps = [":x_proto"])
    spoolrpc_cc_library(name = "x_spoolrpc", srcs = [":x_proto"], deps = [":x_cc_proto"])
"""

def _code_of(ctx, source, root):
    """Declares what the plugin makes of one .proto file: struct(headers, sources)."""

    # As the .proto file is imported, which is how its header will be included: without the root
    # that strip_import_prefix, import_prefix or an external repository put in front.
    path = source.path if root in ["", "."] else source.path[len(root) + 1:]
    base = "%s/%s" % (ctx.attr.directory, path[:-len("." + source.extension)])
    headers = [ctx.actions.declare_file(base + ".spoolrpc.pb.h")]
    if ctx.attr.generate_mocks:
        headers.append(ctx.actions.declare_file(base + "_mock.spoolrpc.pb.h"))
    return struct(
        path = path,
        # The directory that plugin output is relative to.
        root = headers[0].path[:-len(path[:-len(source.extension)] + "spoolrpc.pb.h") - 1],
        headers = headers,
        sources = [ctx.actions.declare_file(base + ".spoolrpc.pb.cc")],
    )

def _spoolrpc_codegen_impl(ctx):
    headers = []
    sources = []
    for src in ctx.attr.srcs:
        proto = src[ProtoInfo]
        if not proto.direct_sources:
            continue
        args = ctx.actions.args()
        args.add(ctx.executable.plugin, format = "--plugin=protoc-gen-spoolrpc=%s")
        outputs = []
        root = None

        # First the exact place of each file to compile, then the roots of what they import: the
        # first that fits counts, and the root "." would fit every file there is.
        for source in proto.direct_sources:
            code = _code_of(ctx, source, proto.proto_source_root)
            args.add("-I%s=%s" % (code.path, source.path))
            headers += code.headers
            sources += code.sources
            outputs += code.headers + code.sources
            root = code.root
        args.add_all(proto.transitive_proto_path, format_each = "-I%s")
        if ctx.attr.generate_mocks:
            args.add("--spoolrpc_opt=generate_mock_code=true")
        args.add(root, format = "--spoolrpc_out=%s")
        args.add_all(proto.direct_sources)
        ctx.actions.run(
            executable = ctx.executable.protoc,
            arguments = [args],
            inputs = proto.transitive_sources,
            tools = [ctx.executable.plugin],
            outputs = outputs,
            mnemonic = "SpoolrpcCodegen",
            progress_message = "Generating SpoolRPC code of %s" % src.label,
        )
    return [
        DefaultInfo(files = depset(headers + sources)),
        OutputGroupInfo(headers = depset(headers), sources = depset(sources)),
    ]

_spoolrpc_codegen = rule(
    implementation = _spoolrpc_codegen_impl,
    doc = "Runs protoc-gen-spoolrpc on the sources of proto_library targets.",
    attrs = {
        "srcs": attr.label_list(
            mandatory = True,
            allow_empty = False,
            providers = [ProtoInfo],
            doc = "The proto_library targets; what they import is not generated.",
        ),
        "directory": attr.string(
            mandatory = True,
            doc = "Where in the package's output directory the code goes: an include root.",
        ),
        "generate_mocks": attr.bool(doc = "Also make x_mock.spoolrpc.pb.h."),
        "protoc": attr.label(
            default = Label("@com_google_protobuf//:protoc"),
            executable = True,
            cfg = "exec",
            allow_files = True,
        ),
        "plugin": attr.label(
            default = Label("//compiler_plugin:protoc-gen-spoolrpc"),
            executable = True,
            cfg = "exec",
        ),
    },
)

def spoolrpc_cc_library(
        name,
        srcs,
        deps = [],
        spoolrpc_only = False,
        generate_mocks = False,
        visibility = None,
        **kwargs):
    """A cc_library of the stubs and service classes of .proto files; as gRPC's cc_grpc_library.

    The library brings the runtime with it: what links it needs no dependency on @spoolrpc//:spoolrpc,
    unless it includes "spoolrpc/spoolrpc.h" itself.

    Include "x.spoolrpc.pb.h" where x.proto is imported as "x.proto", and with generate_mocks
    "x_mock.spoolrpc.pb.h", for which the test that includes it depends on GoogleTest.

    Args:
      name: the library's name.
      srcs: proto_library targets. Only their own sources are generated, not what they import.
      deps: the C++ of the messages: cc_proto_library targets, and other libraries.
      spoolrpc_only: True if deps has the messages of srcs already. If False, they are generated too
        (harmless if deps has them: Bazel generates them once).
      generate_mocks: also generate mocks of the stub interfaces, for GoogleMock.
      visibility: of the library.
      **kwargs: passed to the cc_library, such as testonly, tags or copts.
    """
    for src in srcs:
        if str(src).endswith(".proto"):
            fail("spoolrpc_cc_library %s: srcs takes proto_library targets; make one of %s" % (
                name,
                src,
            ))
    common = {
        key: kwargs[key]
        for key in ["testonly", "tags", "compatible_with", "restricted_to", "target_compatible_with"]
        if key in kwargs
    }
    codegen = "_%s_spoolrpc_codegen" % name
    directory = "_spoolrpc/" + name
    _spoolrpc_codegen(
        name = codegen,
        srcs = srcs,
        directory = directory,
        generate_mocks = generate_mocks,
        visibility = ["//visibility:private"],
        **common
    )
    for group in ["headers", "sources"]:
        native.filegroup(
            name = "%s_%s" % (codegen, group),
            srcs = [":" + codegen],
            output_group = group,
            visibility = ["//visibility:private"],
            **common
        )
    all_deps = deps + [Label("//runtime:spoolrpc_of_generated_code")]
    if not spoolrpc_only:
        for i, src in enumerate(srcs):
            messages = "_%s_cc_proto_%d" % (name, i)
            native.cc_proto_library(
                name = messages,
                deps = [src],
                visibility = ["//visibility:private"],
                **common
            )
            all_deps += [":" + messages]
    native.cc_library(
        name = name,
        srcs = [":%s_sources" % codegen],
        hdrs = [":%s_headers" % codegen],
        strip_include_prefix = directory,
        visibility = visibility,
        deps = all_deps,
        **kwargs
    )
