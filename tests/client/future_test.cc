// Futures, over a channel whose calls end when the test says so.
#include "spoolrpc/client/future.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "spoolrpc/client/channel_interface.h"

namespace spoolrpc {
namespace {

using google::protobuf::MessageLite;
using google::protobuf::StringValue;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr MethodInfo kMethod = {"/test.Service/Method"};

StringValue Text(const std::string& value) {
  StringValue text;
  text.set_value(value);
  return text;
}

class ManualChannel final : public ChannelInterface {
 public:
  absl::Status BlockingUnaryCall(const MethodInfo&, ClientContext*, const MessageLite&,
                                 MessageLite*) override {
    return absl::InternalError("a future blocks");
  }
  void StartUnaryCall(const MethodInfo& method, ClientContext* context, const MessageLite* request,
                      MessageLite* reply, std::function<void(absl::Status)> done) override {
    EXPECT_EQ(&method, &kMethod);
    calls_.push_back({context, static_cast<const StringValue*>(request),
                      static_cast<StringValue*>(reply), std::move(done)});
  }
  void OnUnobservedError(const MethodInfo& method, const absl::Status& status) override {
    unobserved_.push_back(absl::StrCat(method.full_name, ": ", status.message()));
  }

  // Ends the oldest call: with its request and a "!", or with `status`.
  void End(const absl::Status& status = absl::OkStatus()) {
    const Call call = std::move(calls_.front());
    calls_.erase(calls_.begin());
    if (status.ok()) call.reply->set_value(call.request->value() + "!");
    call.done(status);
  }
  size_t open_calls() const { return calls_.size(); }
  ClientContext* context(size_t i) const { return calls_[i].context; }
  const std::vector<std::string>& unobserved() const { return unobserved_; }

 private:
  struct Call {
    ClientContext* context;
    const StringValue* request;
    StringValue* reply;
    std::function<void(absl::Status)> done;
  };
  std::vector<Call> calls_;
  std::vector<std::string> unobserved_;
};

class FutureTest : public ::testing::Test {
 protected:
  Future<StringValue> Call(const std::string& text,
                           const std::function<void(ClientContext*)>& setup = nullptr) {
    return Future<StringValue>::Start(channel_, kMethod, Text(text), setup);
  }

  const std::shared_ptr<ManualChannel> channel_ = std::make_shared<ManualChannel>();
};

TEST_F(FutureTest, IsReadyWhenTheCallHasEndedAndHasItsReply) {
  Future<StringValue> future = Call("hello");
  EXPECT_TRUE(future.valid());
  EXPECT_FALSE(future.ready());
  EXPECT_FALSE(future.WaitFor(absl::ZeroDuration()));
  EXPECT_FALSE(future.WaitFor(absl::Milliseconds(1)));
  channel_->End();
  EXPECT_TRUE(future.ready());
  EXPECT_TRUE(future.WaitFor(absl::ZeroDuration()));
  EXPECT_EQ(future.status(), absl::OkStatus());
  ASSERT_TRUE(future.Get().ok());
  EXPECT_EQ(future.Get()->value(), "hello!");
  const absl::StatusOr<StringValue> taken = std::move(future).Get();
  EXPECT_EQ(taken->value(), "hello!");
}

TEST_F(FutureTest, RepliesMayComeOutOfOrder) {
  Future<StringValue> first = Call("first");
  std::vector<Future<StringValue>> others;
  others.push_back(Call("second"));
  others.push_back(Call("third"));
  first = std::move(others.back());
  others.pop_back();
  channel_->End();
  channel_->End(absl::NotFoundError("no second"));
  channel_->End();
  EXPECT_EQ(first.Get()->value(), "third!");
  EXPECT_EQ(others[0].Get().status(), absl::NotFoundError("no second"));
}

TEST_F(FutureTest, GetBlocksUntilAnotherThreadEndsTheCall) {
  Future<StringValue> future = Call("x");
  absl::Notification waiting;
  std::thread runtime([&] {
    waiting.WaitForNotification();
    channel_->End();
  });
  waiting.Notify();
  EXPECT_EQ(future.Get()->value(), "x!");
  runtime.join();
}

TEST_F(FutureTest, CallbacksAreCalledOnceTheCallEnds) {
  Future<StringValue> future = Call("x");
  std::vector<std::string> seen;
  future.Then([&](const absl::StatusOr<StringValue>& r) { seen.push_back("1" + r->value()); });
  future.Then([&](const absl::StatusOr<StringValue>& r) { seen.push_back("2" + r->value()); });
  EXPECT_THAT(seen, IsEmpty());
  channel_->End();
  EXPECT_THAT(seen, ElementsAre("1x!", "2x!"));
  future.Then([&](const absl::StatusOr<StringValue>& r) { seen.push_back("3" + r->value()); });
  EXPECT_THAT(seen, ElementsAre("1x!", "2x!", "3x!"));
}

TEST_F(FutureTest, ACallbackOutlivesItsFuture) {
  absl::Status seen;
  Call("x").Then([&](const absl::StatusOr<StringValue>& r) { seen = r.status(); });
  channel_->End(absl::AbortedError("stop"));
  EXPECT_EQ(seen, absl::AbortedError("stop"));
}

// The callback of the runtime's thread looks at the result while this one takes it.
TEST_F(FutureTest, TakingTheResultLeavesItToTheCallbacks) {
  Future<StringValue> future = Call("x");
  absl::Notification taken;
  std::string seen;
  future.Then([&](const absl::StatusOr<StringValue>& r) {
    taken.WaitForNotification();
    seen = r->value();
  });
  std::thread runtime([&] { channel_->End(); });
  const absl::StatusOr<StringValue> result = std::move(future).Get();
  EXPECT_EQ(result->value(), "x!");
  taken.Notify();
  runtime.join();
  EXPECT_EQ(seen, "x!");
}

TEST_F(FutureTest, ADroppedFutureLeavesItsCallRunning) {
  Call("fire and forget");
  ASSERT_EQ(channel_->open_calls(), 1);
  channel_->End();
  EXPECT_THAT(channel_->unobserved(), IsEmpty());
}

TEST_F(FutureTest, TheCallKeepsTheChannel) {
  auto channel = std::make_shared<ManualChannel>();
  ManualChannel* const raw = channel.get();
  const std::weak_ptr<ManualChannel> watch = channel;
  Future<StringValue> future =
      Future<StringValue>::Start(std::move(channel), kMethod, Text("x"), nullptr);
  raw->End();
  EXPECT_EQ(future.Get()->value(), "x!");
  EXPECT_FALSE(watch.expired());
  future = Future<StringValue>();
  EXPECT_TRUE(watch.expired());
}

TEST_F(FutureTest, SetupHasTheContextBeforeTheCall) {
  ClientContext* given = nullptr;
  Future<StringValue> future = Call("x", [&](ClientContext* context) {
    EXPECT_EQ(channel_->open_calls(), 0);
    given = context;
  });
  EXPECT_EQ(channel_->context(0), given);
  EXPECT_EQ(&future.context(), given);
  channel_->End();
  future.Wait();
}

TEST_F(FutureTest, AnErrorThatNobodyLookedAtIsToldToTheChannel) {
  {
    const Future<StringValue> future = Call("x");
    channel_->End(absl::DataLossError("lost"));
    EXPECT_TRUE(future.ready());
    future.Wait();
    EXPECT_THAT(channel_->unobserved(), IsEmpty());
  }
  EXPECT_THAT(channel_->unobserved(), ElementsAre("/test.Service/Method: lost"));
}

TEST_F(FutureTest, AnErrorOfADroppedFutureIsToldWhenTheCallEnds) {
  Call("x");
  EXPECT_THAT(channel_->unobserved(), IsEmpty());
  channel_->End(absl::DataLossError("lost"));
  EXPECT_THAT(channel_->unobserved(), ElementsAre("/test.Service/Method: lost"));
}

TEST_F(FutureTest, AnErrorThatSomebodyLookedAtIsNotTold) {
  const absl::Status error = absl::DataLossError("lost");
  Future<StringValue> got = Call("a");
  Future<StringValue> asked = Call("b");
  Call("c").Then([](const absl::StatusOr<StringValue>&) {});
  for (int i = 0; i < 3; ++i) channel_->End(error);
  EXPECT_EQ(got.Get().status(), error);
  EXPECT_EQ(asked.status(), error);
  got = Future<StringValue>();
  asked = Future<StringValue>();
  EXPECT_THAT(channel_->unobserved(), IsEmpty());
}

TEST_F(FutureTest, MovesButDoesNotCopy) {
  static_assert(std::is_nothrow_move_constructible_v<Future<StringValue>>);
  static_assert(!std::is_copy_constructible_v<Future<StringValue>>);
  static_assert(!std::is_copy_assignable_v<Future<StringValue>>);
  Future<StringValue> future = Call("x");
  const Future<StringValue> moved = std::move(future);
  EXPECT_FALSE(future.valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(moved.valid());
  EXPECT_FALSE(Future<StringValue>().valid());
}

}  // namespace
}  // namespace spoolrpc
