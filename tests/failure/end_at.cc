#include "tests/failure/end_at.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <atomic>
#include <memory>

#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace spoolrpc::failure {

using testing::Call;

void SignalAt(testing::FaultySystemCalls* calls, const std::string& where, int signal) {
  absl::string_view name = where;
  Call call;
  if (absl::ConsumePrefix(&name, "link:")) {
    call = Call::kLink;
  } else if (absl::ConsumePrefix(&name, "unlink:")) {
    call = Call::kUnlink;
  } else if (absl::ConsumePrefix(&name, "rename:")) {
    call = Call::kRename;
  } else {
    fprintf(stderr, "no such place: %s\n", where.c_str());
    exit(2);
  }
  const auto once = std::make_shared<std::atomic<bool>>(false);
  const auto raise_once = [once, signal] {
    if (!once->exchange(true)) raise(signal);
  };
  if (!absl::ConsumePrefix(&name, "after ")) {
    calls->Run({call, std::string(name)}, raise_once);
    return;
  }
  const auto armed = std::make_shared<std::atomic<bool>>(false);
  calls->Run({Call::kLink, "/" + std::string(name)}, [armed] { *armed = true; });
  calls->Run({call, "/durable/"}, [armed, raise_once] {
    if (*armed) raise_once();
  });
}

}  // namespace spoolrpc::failure
