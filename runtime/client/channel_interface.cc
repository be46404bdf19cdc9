#include "spoolrpc/client/channel_interface.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace spoolrpc {
namespace {

absl::Status NotHere(const MethodInfo& method) {
  return absl::UnimplementedError(
      absl::StrCat(method.full_name, ": this channel does not carry such calls"));
}

// A call that has failed before it began.
class FailedStream final : public ClientStream {
 public:
  explicit FailedStream(absl::Status status) : status_(std::move(status)) {}

  void WaitForInitialMetadata() override {}
  bool Read(google::protobuf::MessageLite*) override { return false; }
  bool Write(const google::protobuf::MessageLite&, WriteOptions) override { return false; }
  bool WritesDone() override { return false; }
  absl::Status Finish() override { return status_; }

 private:
  const absl::Status status_;
};

// The same for a reactor.
class FailedCall final : public AsyncClientCall {
 public:
  FailedCall(ClientReactor* reactor, absl::Status status)
      : reactor_(reactor), status_(std::move(status)) {}

  void StartCall() override { reactor_->OnDone(status_); }
  void StartRead(google::protobuf::MessageLite*) override {}
  void StartWrite(const google::protobuf::MessageLite*, WriteOptions) override {}
  void StartWritesDone() override {}
  void AddHolds(int) override {}
  void RemoveHold() override {}

 private:
  ClientReactor* const reactor_;
  const absl::Status status_;
};

}  // namespace

std::unique_ptr<ClientStream> ChannelInterface::StartStream(const MethodInfo& method,
                                                            ClientContext*,
                                                            const google::protobuf::MessageLite*,
                                                            google::protobuf::MessageLite*) {
  return std::make_unique<FailedStream>(NotHere(method));
}

void ChannelInterface::StartUnaryCall(const MethodInfo& method, ClientContext*,
                                      const google::protobuf::MessageLite*,
                                      google::protobuf::MessageLite*,
                                      // NOLINTNEXTLINE(performance-unnecessary-value-param)
                                      std::function<void(absl::Status)> done) {
  done(NotHere(method));
}

void ChannelInterface::PrepareCall(const MethodInfo& method, ClientContext*,
                                   const google::protobuf::MessageLite*,
                                   google::protobuf::MessageLite*, ClientReactor* reactor) {
  reactor->BindCall(std::make_shared<FailedCall>(reactor, NotHere(method)));
}

}  // namespace spoolrpc
