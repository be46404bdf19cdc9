// Fetches URLs for machines that have no route to them: runs where there is one.

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "examples/http_fetch/allow_list.h"
#include "examples/http_fetch/fetcher.h"
#include "examples/http_fetch/http_fetch.spoolrpc.pb.h"
#include "examples/http_fetch/printable.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, spool, "",
          "the spool to serve: spool:/path or a plain path; empty: $SPOOLRPC_DIR, or "
          "~/.cache/spoolrpc");
ABSL_FLAG(std::string, allow, "",
          "the hosts that may be asked, with commas between: host (ports 80 for http and 443 for "
          "https), host:port, or host:*; needed");
ABSL_FLAG(int64_t, max_reply_bytes, int64_t{64} << 20,
          "the largest body that is fetched, in bytes");
ABSL_FLAG(int, max_redirects, 10, "how many redirects a fetch may follow");
ABSL_FLAG(absl::Duration, max_time, absl::Minutes(10), "how long a fetch may take");
ABSL_FLAG(int, workers, 16, "how many fetches may run at once");
ABSL_FLAG(absl::Duration, drain, absl::Seconds(30),
          "how long running fetches may go on after SIGTERM");

namespace {

using http_fetch::Fetcher;
using http_fetch::FetchReply;
using http_fetch::FetchRequest;

// The largest limit that leaves room for the rest of a reply below protobuf's 2 GiB.
constexpr int64_t kMaxReplyBytes = int64_t{2047} << 20;
// What a reply has beside its body.
constexpr int64_t kRoomForHead = 512 * 1024;

class HttpFetchImpl final : public http_fetch::HttpFetch::Service {
 public:
  explicit HttpFetchImpl(Fetcher fetcher) : fetcher_(std::move(fetcher)) {}

 private:
  absl::Status Fetch(spoolrpc::ServerContext* context, const FetchRequest* request,
                     FetchReply* reply) override {
    const absl::Time start = absl::Now();
    const absl::Status status = fetcher_.Fetch(
        *request, context->deadline(), [context] { return context->IsCancelled(); }, reply);
    const std::string took =
        absl::StrFormat("%.1f ms", absl::ToDoubleMilliseconds(absl::Now() - start));
    if (status.ok()) {
      printf("fetched %s: %d, %zu bytes, %s, for %s\n",
             http_fetch::Printable(reply->url().substr(0, reply->url().find('?'))).c_str(),
             reply->status(), reply->body().size(), took.c_str(), context->peer().c_str());
    } else {
      printf("not fetched: %s: %s, %s, for %s\n", absl::StatusCodeToString(status.code()).c_str(),
             std::string(status.message()).c_str(), took.c_str(), context->peer().c_str());
    }
    fflush(stdout);
    return status;
  }

  const Fetcher fetcher_;
};

int Fail(const absl::Status& status) {
  fprintf(stderr, "fetch_server: %s\n", status.ToString().c_str());
  return 1;
}

int RunServer() {
  // SIGTERM and SIGINT are taken by a thread that drains the server.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A web server that goes away is an error of its fetch.
  signal(SIGPIPE, SIG_IGN);
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return Fail(absl::InternalError("libcurl does not start"));
  }

  absl::StatusOr<http_fetch::AllowList> allowed =
      http_fetch::AllowList::Parse(absl::GetFlag(FLAGS_allow));
  if (!allowed.ok()) return Fail(allowed.status());
  http_fetch::FetchLimits limits;
  limits.max_reply_bytes = absl::GetFlag(FLAGS_max_reply_bytes);
  limits.max_redirects = absl::GetFlag(FLAGS_max_redirects);
  limits.max_time = absl::GetFlag(FLAGS_max_time);
  if (limits.max_reply_bytes < 1 || limits.max_reply_bytes > kMaxReplyBytes) {
    return Fail(absl::InvalidArgumentError("--max_reply_bytes must be 1 to 2146435072"));
  }
  if (limits.max_redirects < 0) {
    return Fail(absl::InvalidArgumentError("--max_redirects must not be negative"));
  }
  if (limits.max_time <= absl::ZeroDuration()) {
    return Fail(absl::InvalidArgumentError("--max_time must be positive"));
  }

  HttpFetchImpl service(Fetcher(*std::move(allowed), limits));
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  builder.set_workers(absl::GetFlag(FLAGS_workers));
  builder.set_max_send_message_size(limits.max_reply_bytes + kRoomForHead);
  absl::StatusOr<std::unique_ptr<spoolrpc::Server>> server = builder.BuildAndStart();
  if (!server.ok()) return Fail(server.status());
  printf("Server listening on spool:%s\n", (*server)->spools()[0].c_str());
  fflush(stdout);

  std::thread([&signals, server = server->get()] {
    int signal = 0;
    sigwait(&signals, &signal);
    server->Shutdown(absl::Now() + absl::GetFlag(FLAGS_drain));
  }).detach();
  const absl::Status ended = (*server)->Wait();
  return ended.ok() ? 0 : Fail(ended);
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Fetches URLs of the hosts on its allow-list for the clients of a spool, until SIGTERM.");
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
