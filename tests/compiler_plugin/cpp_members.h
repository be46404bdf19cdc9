// Reads the public members of classes out of generated headers.
#ifndef SPOOLRPC_TESTS_COMPILER_PLUGIN_CPP_MEMBERS_H_
#define SPOOLRPC_TESTS_COMPILER_PLUGIN_CPP_MEMBERS_H_

#include <string>
#include <vector>

namespace spoolrpc::testing {

struct CppMember {
  // "pkg::Greeter::Stub::SayHello".
  std::string name;
  // The declaration as tokens with one space between, without body, `override` (then it begins with
  // `virtual`), `= default` and initializers: "virtual ~ Stub ( )". Of a class: "class Stub".
  std::string declaration;
};

// All public members, at any depth of public classes, of the classes in `header`. Understands what
// generators write, not all of C++; aborts with a message on what it does not understand.
std::vector<CppMember> PublicMembers(const std::string& header);

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_COMPILER_PLUGIN_CPP_MEMBERS_H_
