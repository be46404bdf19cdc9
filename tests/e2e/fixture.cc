#include "tests/e2e/fixture.h"

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::e2e {

bool CapturedLog::Contains(absl::string_view text) const {
  absl::MutexLock lock(&mu_);
  for (const auto& [level, line] : lines_) {
    if (absl::StrContains(line, text)) return true;
  }
  return false;
}

bool CapturedLog::Await(absl::string_view text) const {
  return Eventually([&] { return Contains(text); });
}

int CapturedLog::Count(LogLevel level) const {
  absl::MutexLock lock(&mu_);
  int count = 0;
  for (const auto& [line_level, line] : lines_) count += line_level == level;
  return count;
}

std::string CapturedLog::Text() const {
  absl::MutexLock lock(&mu_);
  std::string text;
  for (const auto& [level, line] : lines_) absl::StrAppend(&text, line, "\n");
  return text;
}

Gate::~Gate() {
  Open();
  // A handler whose caller has given up may just be leaving.
  const auto empty = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return inside_ == 0; };
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(&empty));
}

void Gate::Pass() {
  absl::MutexLock lock(&mu_);
  ++arrived_;
  ++inside_;
  mu_.AwaitWithTimeout(absl::Condition(&open_), 2 * kLong);
  --inside_;
}

void Gate::Open() {
  absl::MutexLock lock(&mu_);
  open_ = true;
}

bool Gate::AwaitArrived(int count) {
  const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return arrived_ >= count; };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&there), kLong);
}

int Gate::arrived() const {
  absl::MutexLock lock(&mu_);
  return arrived_;
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time end = absl::Now() + kLong;
  while (!condition()) {
    if (absl::Now() >= end) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

void InThreads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

ServerBuilder SpoolTest::Builder(Service* service) {
  ServerBuilder builder;
  builder.AddSpool(spool());
  builder.RegisterService(service);
  builder.set_transport(transport_);
  builder.set_log_sink(&log_);
  builder.set_log_level(LogLevel::kDebug);
  return builder;
}

std::unique_ptr<Server> SpoolTest::Serve(Service* service,
                                         const std::function<void(ServerBuilder*)>& change) {
  ServerBuilder builder = Builder(service);
  if (change) change(&builder);
  auto server = builder.BuildAndStart();
  EXPECT_OK(server);
  return server.ok() ? *std::move(server) : nullptr;
}

ChannelOptions SpoolTest::Options() const {
  ChannelOptions options;
  options.transport = transport_;
  options.ack_timeout = kLong;
  return options;
}

std::shared_ptr<Channel> SpoolTest::Connect(const ChannelOptions& options) const {
  auto channel = CreateChannel(spool(), options);
  EXPECT_OK(channel);
  return channel.ok() ? *channel : nullptr;
}

Text Say(absl::string_view text) {
  Text message;
  message.set_text(std::string(text));
  return message;
}

ErrorInfo::Reason ReasonOf(const absl::Status& status) {
  const auto info = GetErrorInfo(status);
  return info.has_value() ? info->reason() : ErrorInfo::REASON_UNSPECIFIED;
}

}  // namespace spoolrpc::e2e
