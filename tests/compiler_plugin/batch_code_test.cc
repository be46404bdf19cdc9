// Generated code of methods with the option batch.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "google/protobuf/message_lite.h"
#include "tests/compiler_plugin/loopback_channel.h"
#include "tests/compiler_plugin/protos/annotated.spoolrpc.pb.h"

namespace spoolrpc::testing {
namespace {

using annotated::BatchNames;
using annotated::Image;
using annotated::Label;
using annotated::Tuned;
using google::protobuf::MessageLite;

constexpr int kBatched = 2;  // the index of Tuned.Batched

// The calls of a batch without a server. Contexts are only addresses.
class FakeBatch final : public BatchContext {
 public:
  explicit FakeBatch(int size) : storage_(size), statuses_(size) {}

  int size() const override { return static_cast<int>(statuses_.size()); }
  ServerContext* context(int i) override { return reinterpret_cast<ServerContext*>(&storage_[i]); }
  void SetStatus(int i, absl::Status status) override { statuses_[i] = std::move(status); }

  const absl::Status& status(int i) const { return statuses_[i]; }

 private:
  std::vector<char> storage_;
  std::vector<absl::Status> statuses_;
};

// Runs the handler of Tuned.Batched with `batch`.
absl::Status RunBatch(const Service& service, FakeBatch* batch) {
  const MethodHandler& handler = *service.methods()[kBatched].handler;
  EXPECT_TRUE(handler.takes_batches());
  std::vector<std::unique_ptr<MessageLite>> messages;
  std::vector<const MessageLite*> requests;
  std::vector<MessageLite*> replies;
  for (int i = 0; i < batch->size(); ++i) {
    messages.push_back(handler.NewRequest());
    requests.push_back(messages.back().get());
    messages.push_back(handler.NewReply());
    replies.push_back(messages.back().get());
  }
  return handler.RunBatch(batch, requests, replies);
}

TEST(BatchCodeTest, TheHandlerHasAllCallsAtOnceAndOneMayFailAlone) {
  class Impl final : public Tuned::Service {
   public:
    absl::Status Batched(BatchContext* batch, absl::Span<const Image* const> requests,
                         absl::Span<Label* const> responses) override {
      EXPECT_EQ(batch->size(), 3);
      EXPECT_EQ(requests.size(), 3);
      EXPECT_EQ(responses.size(), 3);
      EXPECT_NE(requests[0], requests[1]);
      EXPECT_NE(responses[0], responses[2]);
      batch->SetStatus(1, absl::InvalidArgumentError("the second"));
      return absl::OkStatus();
    }
  };
  const Impl service;
  FakeBatch batch(3);
  EXPECT_EQ(RunBatch(service, &batch), absl::OkStatus());
  EXPECT_EQ(batch.status(0), absl::OkStatus());
  EXPECT_EQ(batch.status(1), absl::InvalidArgumentError("the second"));
  EXPECT_EQ(batch.status(2), absl::OkStatus());
}

TEST(BatchCodeTest, WithoutABatchFunctionEachCallGoesToThePlainOne) {
  class Impl final : public Tuned::Service {
   public:
    absl::Status Batched(ServerContext* context, const Image*, Label*) override {
      contexts.push_back(context);
      return contexts.size() == 2 ? absl::AbortedError("the second") : absl::OkStatus();
    }
    std::vector<ServerContext*> contexts;
  };
  Impl service;
  FakeBatch batch(3);
  EXPECT_EQ(RunBatch(service, &batch), absl::OkStatus());
  EXPECT_EQ(service.contexts,
            std::vector<ServerContext*>({batch.context(0), batch.context(1), batch.context(2)}));
  EXPECT_EQ(batch.status(0), absl::OkStatus());
  EXPECT_EQ(batch.status(1), absl::AbortedError("the second"));
  EXPECT_EQ(batch.status(2), absl::OkStatus());
}

TEST(BatchCodeTest, ASingleCallIsABatchOfOne) {
  class Impl final : public Tuned::Service {
   public:
    absl::Status Batched(BatchContext* batch, absl::Span<const Image* const> requests,
                         absl::Span<Label* const> responses) override {
      EXPECT_EQ(batch->size(), 1);
      EXPECT_EQ(batch->context(0), kServerContext);
      EXPECT_EQ(requests.size(), 1);
      EXPECT_EQ(responses.size(), 1);
      if (fails) return absl::InternalError("all of it");
      batch->SetStatus(0, absl::NotFoundError("only this"));
      return absl::OkStatus();
    }
    bool fails = false;
  };
  Impl service;
  Label label;
  EXPECT_EQ(StubOf<Tuned>(service)->Batched(kClientContext, Image(), &label),
            absl::NotFoundError("only this"));
  service.fails = true;
  EXPECT_EQ(StubOf<Tuned>(service)->Batched(kClientContext, Image(), &label),
            absl::InternalError("all of it"));
}

TEST(BatchCodeTest, WithoutAnyFunctionItIsUnimplemented) {
  const Tuned::Service service;
  Label label;
  EXPECT_EQ(StubOf<Tuned>(service)->Batched(kClientContext, Image(), &label).code(),
            absl::StatusCode::kUnimplemented);
  const BatchNames::Service names;
  EXPECT_EQ(StubOf<BatchNames>(names)->batch(kClientContext, Image(), &label).code(),
            absl::StatusCode::kUnimplemented);
}

TEST(BatchCodeTest, OtherMethodsTakeNoBatches) {
  const Tuned::Service service;
  for (int i = 0; i < static_cast<int>(service.methods().size()); ++i) {
    EXPECT_EQ(service.methods()[i].handler->takes_batches(), i == kBatched) << i;
  }
}

}  // namespace
}  // namespace spoolrpc::testing
