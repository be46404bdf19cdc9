// What a server says of its methods, against what this program was built from: whether a call may
// go to it (docs/protocol.md, section 3).
#ifndef SPOOLRPC_CLIENT_SERVER_SCHEMA_H_
#define SPOOLRPC_CLIENT_SERVER_SCHEMA_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "spoolrpc/rpc/method_info.h"
#include "spoolrpc/spool/server_list.h"

namespace spoolrpc::client {

// How a method of this program goes with a server.
enum class Fit : uint8_t {
  kNotOffered,    // the server does not have the service
  kIncompatible,  // it has the method otherwise, or there is no protocol version in common
  kDifferent,     // it was built from another schema, in which the method looks the same
  kFits,          // it was built from the same schema, or says nothing to the contrary
};

inline bool MayBeCalled(Fit fit) { return fit == Fit::kFits || fit == Fit::kDifferent; }

// Of one server, made from its record once. Immutable, and so thread-safe.
class ServerSchema {
 public:
  explicit ServerSchema(const spool::ServerEntry& server);

  // Whether it and this program have a protocol version in common; if not, every method that it
  // offers is kIncompatible.
  bool speaks_our_protocol() const { return speaks_our_protocol_; }
  // A method that the server's service does not have kFits: the server says so itself. Null, for
  // any method, kFits if speaks_our_protocol().
  Fit Compare(const MethodInfo* method) const;
  // For people: both sides of a method that is kIncompatible or kDifferent, and what to do. What
  // the server's record brings to it is bounded, and holds no control characters.
  std::string Explain(const MethodInfo& method) const;

 private:
  using Methods = absl::flat_hash_map<absl::string_view, const spool::MethodRecord*>;

  // Null if the server does not list it.
  const spool::MethodRecord* Find(const MethodInfo& method) const;

  const std::shared_ptr<const spool::ServerRecord> record_;  // holds what the index points to
  const std::string directory_;
  const bool speaks_our_protocol_;
  absl::flat_hash_map<absl::string_view, Methods> services_;
};

// "package.Service" of "/package.Service/Method".
absl::string_view ServiceOf(absl::string_view method);

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_SERVER_SCHEMA_H_
