// What the tests of batches share: a service that keeps what its batches were, and calls that run
// while the test goes on.
#ifndef SPOOLRPC_TESTS_E2E_BATCH_FIXTURE_H_
#define SPOOLRPC_TESTS_E2E_BATCH_FIXTURE_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/e2e/batch.pb.h"
#include "tests/e2e/batch.spoolrpc.pb.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {

using ::e2e::Batches;
using Requests = absl::Span<const Text* const>;
using Replies = absl::Span<Text* const>;
using BatchHandler = std::function<absl::Status(BatchContext*, Requests, Replies)>;
using Numbers = std::vector<int64_t>;

inline Text Numbered(int64_t number) {
  Text text;
  text.set_number(number);
  return text;
}

// Answers with the requests; what is to happen before is set before the server starts.
class BatchService final : public Batches::Service {
 public:
  absl::Status Full(BatchContext* batch, Requests requests, Replies replies) override {
    return Run(batch, requests, replies);
  }
  absl::Status FullAckFirst(BatchContext* batch, Requests requests, Replies replies) override {
    return Run(batch, requests, replies);
  }
  absl::Status Delayed(BatchContext* batch, Requests requests, Replies replies) override {
    return Run(batch, requests, replies);
  }
  absl::Status AtOnce(BatchContext* batch, Requests requests, Replies replies) override {
    return Run(batch, requests, replies);
  }
  absl::Status Single(ServerContext*, const Text* request, Text* reply) override {
    *reply = *request;
    if (request->number() == 2) return absl::NotFoundError("two");
    return absl::OkStatus();
  }
  absl::Status Plain(ServerContext*, const Text* request, Text* reply) override {
    *reply = *request;
    return plain(request->number());
  }

  // The numbers of the requests, batch by batch.
  std::vector<Numbers> batches() const {
    absl::MutexLock lock(&mu_);
    return batches_;
  }

  BatchHandler handler = [](BatchContext*, Requests, Replies) { return absl::OkStatus(); };
  std::function<absl::Status(int64_t)> plain = [](int64_t) { return absl::OkStatus(); };

 private:
  absl::Status Run(BatchContext* batch, Requests requests, Replies replies) {
    EXPECT_EQ(batch->size(), requests.size());
    EXPECT_EQ(batch->size(), replies.size());
    Numbers numbers;
    for (int i = 0; i < batch->size(); ++i) {
      numbers.push_back(requests[i]->number());
      *replies[i] = *requests[i];
    }
    {
      absl::MutexLock lock(&mu_);
      batches_.push_back(numbers);
    }
    return handler(batch, requests, replies);
  }

  mutable absl::Mutex mu_;
  std::vector<Numbers> batches_ ABSL_GUARDED_BY(mu_);
};

using Method = absl::Status (Batches::StubInterface::*)(ClientContext*, const Text&, Text*);

// One call on a thread of its own.
class PendingCall {
 public:
  PendingCall(std::shared_ptr<Channel> channel, Method method, int64_t number,
              const std::function<void(ClientContext*)>& setup = {})
      : number_(number) {
    context_.set_acknowledged_callback([this] {
      absl::MutexLock lock(&mu_);
      told_ = true;
    });
    if (setup) setup(&context_);
    thread_ = std::thread([this, channel = std::move(channel), method] {
      const absl::Status status =
          ((*Batches::NewStub(channel)).*method)(&context_, Numbered(number_), &reply_);
      absl::MutexLock lock(&mu_);
      status_ = status;
      told_ = true;
    });
  }
  ~PendingCall() {
    if (thread_.joinable()) thread_.join();
  }

  // Waits until a server has the call, or it has ended.
  bool AwaitTaken() {
    absl::MutexLock lock(&mu_);
    return mu_.AwaitWithTimeout(absl::Condition(&told_), kLong);
  }
  // Waits for its end; an OK whose reply is another call's is none.
  absl::Status End() {
    if (thread_.joinable()) thread_.join();
    absl::MutexLock lock(&mu_);
    if (status_.ok() && reply_.number() != number_) return absl::InternalError("another's reply");
    return status_;
  }
  ClientContext* context() { return &context_; }

 private:
  const int64_t number_;
  ClientContext context_;
  Text reply_;
  absl::Mutex mu_;
  bool told_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

class BatchTest : public BothTransports {
 protected:
  using Calls = std::vector<std::unique_ptr<PendingCall>>;

  // Begins calls with the numbers `first` to `last`, each one after the server has the one before.
  static Calls BeginInOrder(const std::shared_ptr<Channel>& channel, Method method, int64_t first,
                            int64_t last) {
    Calls calls;
    for (int64_t number = first; number <= last; ++number) {
      calls.push_back(std::make_unique<PendingCall>(channel, method, number));
      // The one that fills a batch may have to wait for the test.
      EXPECT_TRUE(calls.back()->AwaitTaken());
    }
    return calls;
  }
};

}  // namespace spoolrpc::e2e

#endif  // SPOOLRPC_TESTS_E2E_BATCH_FIXTURE_H_
