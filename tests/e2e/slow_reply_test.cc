// A reply that takes longer than a lease to be put into bytes, as one of many megabytes does where
// memory is slow: the call is open until it has been, and so is the lease renewed.
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "google/protobuf/message_lite.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {
namespace {

constexpr absl::Duration kTerm = absl::Seconds(1);

// Serializes as a Text does, only later.
class SlowText final : public google::protobuf::MessageLite {
 public:
  Text* text() { return &text_; }

  std::string GetTypeName() const override { return text_.GetTypeName(); }
  SlowText* New(google::protobuf::Arena* /*arena*/) const override { return new SlowText; }
  void Clear() override { text_.Clear(); }
  bool IsInitialized() const override { return true; }
  void CheckTypeAndMergeFrom(const google::protobuf::MessageLite& other) override {
    text_.MergeFrom(static_cast<const SlowText&>(other).text_);
  }
  size_t ByteSizeLong() const override { return text_.ByteSizeLong(); }
  int GetCachedSize() const override { return text_.GetCachedSize(); }
  const char* _InternalParse(const char* from,
                             google::protobuf::internal::ParseContext* context) override {
    return text_._InternalParse(from, context);
  }
  uint8_t* _InternalSerialize(uint8_t* to,
                              google::protobuf::io::EpsCopyOutputStream* stream) const override {
    absl::SleepFor(3 * kTerm);
    return text_._InternalSerialize(to, stream);
  }

 private:
  Text text_;
};

class SlowHandler final : public TypedMethodHandler<Text, SlowText> {
 public:
  absl::Status Run(ServerContext*, const google::protobuf::MessageLite* request,
                   google::protobuf::MessageLite* reply, ServerStream*) const override {
    *static_cast<SlowText*>(reply)->text() = *static_cast<const Text*>(request);
    return absl::OkStatus();
  }
};

class SlowService final : public Probe::Service {
 public:
  SlowService() {
    for (size_t i = 0; i < methods().size(); ++i) {
      if (std::string(methods()[i].info->full_name) == "/e2e.Probe/Echo") {
        MarkMethodCallback(static_cast<int>(i), std::make_unique<SlowHandler>());
      }
    }
  }
};

class SlowReplyTest : public BothTransports {};
SPOOLRPC_BOTH_TRANSPORTS(SlowReplyTest);

TEST_P(SlowReplyTest, TheLeaseIsRenewedUntilTheReplyIsWritten) {
  SlowService service;
  const auto server =
      Serve(&service, [](ServerBuilder* builder) { builder->set_lease_term(kTerm); });
  ChannelOptions options = Options();
  options.lease_term = kTerm;
  const auto stub = Probe::NewStub(Connect(options));
  // Too large for one frame: such are serialized before the log is locked.
  const Text request = Say(std::string(200000, 'a'));
  ClientContext context;
  Text reply;
  EXPECT_OK(stub->Echo(&context, request, &reply));
  EXPECT_EQ(reply.text(), request.text());
}

}  // namespace
}  // namespace spoolrpc::e2e
