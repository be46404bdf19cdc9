"""Repositories made of installed files: nothing is fetched."""

def _system_repository_impl(ctx):
    for path in ctx.attr.requires + ctx.attr.links.values():
        if not ctx.path(path).exists:
            fail("%s is missing: install %s" % (path, ctx.attr.package))
    for path, content in ctx.attr.files.items():
        ctx.file(path, content, executable = False)
    for path, target in ctx.attr.links.items():
        ctx.symlink(target, path)
    for path, program in ctx.attr.programs.items():
        found = ctx.which(program)
        if not found:
            fail("%s is not on PATH: install %s" % (program, ctx.attr.package))
        ctx.symlink(found, path)

system_repository = repository_rule(
    implementation = _system_repository_impl,
    doc = "A repository that consists of the given files and of links to installed ones.",
    attrs = {
        "files": attr.string_dict(doc = "path -> content"),
        "links": attr.string_dict(doc = "path -> absolute path of an installed file"),
        "programs": attr.string_dict(doc = "path -> name of a program on PATH"),
        "requires": attr.string_list(doc = "absolute paths that must exist"),
        "package": attr.string(doc = "the Debian packages that install all this"),
    },
    local = True,
)

def maybe_system_repository(name, **kwargs):
    """Declares the repository unless the workspace has one of that name."""
    if not native.existing_rule(name):
        system_repository(name = name, **kwargs)
