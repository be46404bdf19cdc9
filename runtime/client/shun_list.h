// Servers that a channel does not try again for a while.
#ifndef SPOOLRPC_CLIENT_SHUN_LIST_H_
#define SPOOLRPC_CLIENT_SHUN_LIST_H_

#include <cstddef>
#include <iterator>
#include <map>
#include <string>

#include "spoolrpc/os/clock.h"

namespace spoolrpc::client {

// Holds no more than was added lately: servers come and go, and their ids never come again. Not
// thread-safe.
class ShunList {
 public:
  void Add(const std::string& server_id, os::Nanos until) { until_[server_id] = until; }
  bool Contains(const std::string& server_id, os::Nanos now) const {
    const auto it = until_.find(server_id);
    return it != until_.end() && now < it->second;
  }
  // Forgets those whose time is over.
  void Prune(os::Nanos now) {
    for (auto it = until_.begin(); it != until_.end();) {
      it = now < it->second ? std::next(it) : until_.erase(it);
    }
  }
  size_t size() const { return until_.size(); }

 private:
  std::map<std::string, os::Nanos> until_;
};

}  // namespace spoolrpc::client

#endif  // SPOOLRPC_CLIENT_SHUN_LIST_H_
