// The command line of fetch_client: that of a small curl.
#ifndef EXAMPLES_HTTP_FETCH_CLIENT_OPTIONS_H_
#define EXAMPLES_HTTP_FETCH_CLIENT_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/http_fetch/http_fetch.pb.h"

namespace http_fetch {

extern const char kClientHelp[];

struct ClientOptions {
  FetchRequest request;
  std::string spool;   // empty: by the environment
  std::string output;  // empty or "-": standard output
  bool help = false;
  bool include_head = false;
  bool fail_on_error = false;
  bool silent = false;
  std::optional<absl::Duration> max_time;
  absl::Duration ack_timeout = absl::Seconds(20);
  int64_t max_reply_bytes = int64_t{64} << 20;
};

// Reads files where the command line says @FILE. INVALID_ARGUMENT says what is wrong with it.
absl::StatusOr<ClientOptions> ParseCommandLine(int argc, char** argv);

}  // namespace http_fetch

#endif  // EXAMPLES_HTTP_FETCH_CLIENT_OPTIONS_H_
