// What the end-to-end tests share: servers and channels in one process, over a spool of the test's
// own, by the rules of a local file system and by those of a network file system.
#ifndef SPOOLRPC_TESTS_E2E_FIXTURE_H_
#define SPOOLRPC_TESTS_E2E_FIXTURE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/e2e/e2e.pb.h"
#include "tests/e2e/e2e.spoolrpc.pb.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::e2e {

using ::e2e::Probe;
using ::e2e::Text;

// Long enough for a machine under any load; no test waits so long unless it fails.
constexpr absl::Duration kLong = absl::Seconds(60);

// Keeps what a server says.
class CapturedLog final : public LogSink {
 public:
  void Log(LogLevel level, absl::Time time, absl::string_view message) override {
    absl::MutexLock lock(&mu_);
    lines_.emplace_back(level, std::string(message));
  }
  bool Contains(absl::string_view text) const;
  // Waits until a line contains `text`.
  bool Await(absl::string_view text) const;
  int Count(LogLevel level) const;
  std::string Text() const;

 private:
  mutable absl::Mutex mu_;
  std::vector<std::pair<LogLevel, std::string>> lines_ ABSL_GUARDED_BY(mu_);
};

using Handler = std::function<absl::Status(ServerContext*, const Text*, Text*)>;

// Run and RunAckFirst do what `handler` says, which is set before the server starts.
class ProbeService final : public Probe::Service {
 public:
  absl::Status Echo(ServerContext* context, const Text* request, Text* reply) override {
    *reply = *request;
    return absl::OkStatus();
  }
  absl::Status Run(ServerContext* context, const Text* request, Text* reply) override {
    return handler(context, request, reply);
  }
  absl::Status RunAckFirst(ServerContext* context, const Text* request, Text* reply) override {
    return handler(context, request, reply);
  }

  Handler handler = [](ServerContext*, const Text*, Text*) { return absl::OkStatus(); };
};

// A place where handlers wait until the test lets them go.
class Gate {
 public:
  // Opens it, and waits until all who came have gone on.
  ~Gate();
  // Called by a handler.
  void Pass();
  void Open();
  // Waits until `count` handlers have come to the gate so far.
  bool AwaitArrived(int count);
  int arrived() const;

 private:
  mutable absl::Mutex mu_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  int arrived_ ABSL_GUARDED_BY(mu_) = 0;
  int inside_ ABSL_GUARDED_BY(mu_) = 0;
};

// Waits until `condition` holds, looking now and then; false if it does not for kLong.
bool Eventually(const std::function<bool()>& condition);

// Runs `body` in `count` threads and waits for them.
void InThreads(int count, const std::function<void(int)>& body);

class SpoolTest : public ::testing::Test {
 protected:
  explicit SpoolTest(spool::Transport transport) : transport_(transport) {}

  std::string spool() const { return scratch_ / "spool"; }

  // A builder for this spool and transport, with `service`, and a log into log().
  ServerBuilder Builder(Service* service);
  // Starts what Builder() makes; `change` may set more.
  std::unique_ptr<Server> Serve(Service* service,
                                const std::function<void(ServerBuilder*)>& change = {});
  ChannelOptions Options() const;
  std::shared_ptr<Channel> Connect(const ChannelOptions& options) const;
  std::shared_ptr<Channel> Connect() const { return Connect(Options()); }

  bool network() const { return transport_ == spool::Transport::kNetwork; }
  const CapturedLog& log() const { return log_; }
  const testing::ScratchDirectory& scratch() const { return scratch_; }

 private:
  // Where other users get to, too: Bazel's own directory may lie below one's home.
  const testing::ScratchDirectory scratch_{"/tmp"};
  const spool::Transport transport_;
  CapturedLog log_;
};

// By both transports.
class BothTransports : public SpoolTest, public ::testing::WithParamInterface<spool::Transport> {
 protected:
  BothTransports() : SpoolTest(GetParam()) {}
};

inline std::string TransportName(const ::testing::TestParamInfo<spool::Transport>& info) {
  return info.param == spool::Transport::kLocal ? "Local" : "Network";
}

#define SPOOLRPC_BOTH_TRANSPORTS(suite)                                                           \
  INSTANTIATE_TEST_SUITE_P(                                                                       \
      Transports, suite, ::testing::Values(spool::Transport::kLocal, spool::Transport::kNetwork), \
      TransportName)

// A Text with that text.
Text Say(absl::string_view text);

// The reason that the client's runtime gives, or REASON_UNSPECIFIED.
ErrorInfo::Reason ReasonOf(const absl::Status& status);

}  // namespace spoolrpc::e2e

#endif  // SPOOLRPC_TESTS_E2E_FIXTURE_H_
