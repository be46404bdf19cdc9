#include "compiler_plugin/reserved_names.h"

#include <algorithm>
#include <iterator>

namespace spoolrpc::compiler {
namespace {

constexpr absl::string_view kKeywords[] = {
    "alignas",       "alignof",     "and",
    "and_eq",        "asm",         "auto",
    "bitand",        "bitor",       "bool",
    "break",         "case",        "catch",
    "char",          "char16_t",    "char32_t",
    "char8_t",       "class",       "co_await",
    "co_return",     "co_yield",    "compl",
    "concept",       "const",       "const_cast",
    "consteval",     "constexpr",   "constinit",
    "continue",      "decltype",    "default",
    "delete",        "do",          "double",
    "dynamic_cast",  "else",        "enum",
    "explicit",      "export",      "extern",
    "false",         "float",       "for",
    "friend",        "goto",        "if",
    "inline",        "int",         "long",
    "mutable",       "namespace",   "new",
    "noexcept",      "not",         "not_eq",
    "nullptr",       "operator",    "or",
    "or_eq",         "private",     "protected",
    "public",        "register",    "reinterpret_cast",
    "requires",      "return",      "short",
    "signed",        "sizeof",      "static",
    "static_assert", "static_cast", "struct",
    "switch",        "template",    "this",
    "thread_local",  "throw",       "true",
    "try",           "typedef",     "typeid",
    "typename",      "typeof",      "union",
    "unsigned",      "using",       "virtual",
    "void",          "volatile",    "wchar_t",
    "while",         "xor",         "xor_eq",
};

// Macros without an underscore in the C library's headers, and g++'s without -std=c++17 (gnu++17).
constexpr absl::string_view kMacros[] = {
    "EOF",   "INFINITY", "NAN",   "NULL",     "alloca", "assert", "errno",  "linux",
    "major", "makedev",  "minor", "offsetof", "stderr", "stdin",  "stdout", "unix",
};

constexpr absl::string_view kMembers[] = {
    "Stub",
    "StubInterface",
    "NewStub",
    "Service",
    "service_full_name",
    "info_",
    "methods_",
    "channel_",
    "stub_",
    "BaseClass",
    "CallbackService",
    "ExperimentalCallbackService",
    "async",
    "async_interface",
    "async_stub_",
    "experimental_async",
    "experimental_async_interface",
    "future",
    "future_interface",
    "future_stub_",
    "durable",
    "durable_interface",
    "durable_stub_",
};

constexpr absl::string_view kNamespaces[] = {"absl", "google", "spoolrpc", "std", "testing"};

template <size_t kCount>
bool Contains(const absl::string_view (&names)[kCount], absl::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

bool IsReservedInCpp(absl::string_view name) {
  return Contains(kKeywords, name) || Contains(kMacros, name);
}

bool IsGeneratedMember(absl::string_view name) { return Contains(kMembers, name); }

bool IsNeededNamespace(absl::string_view name) { return Contains(kNamespaces, name); }

}  // namespace spoolrpc::compiler
