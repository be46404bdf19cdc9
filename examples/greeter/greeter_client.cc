// A client that wants to be greeted: gRPC's hello world over a spool.

#include <stdio.h>

#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "examples/greeter/helloworld.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, spool, "",
          "the spool: spool:/path or a plain path; empty: $SPOOLRPC_DIR, "
          "or ~/.cache/spoolrpc");
ABSL_FLAG(std::string, name, "world", "whom to greet");
ABSL_FLAG(int, calls, 1, "how many calls to make");
ABSL_FLAG(absl::Duration, ack_timeout, absl::Seconds(20), "how long to wait for a server");

namespace {

using helloworld::Greeter;
using helloworld::HelloReply;
using helloworld::HelloRequest;

class GreeterClient {
 public:
  explicit GreeterClient(std::shared_ptr<spoolrpc::Channel> channel)
      : stub_(Greeter::NewStub(channel)) {}

  // Sends the name and returns what the server answers.
  absl::StatusOr<std::string> SayHello(const std::string& user) {
    HelloRequest request;
    request.set_name(user);
    HelloReply reply;
    spoolrpc::ClientContext context;
    context.set_ack_timeout(absl::GetFlag(FLAGS_ack_timeout));
    const absl::Status status = stub_->SayHello(&context, request, &reply);
    if (!status.ok()) return status;
    return reply.message();
  }

 private:
  std::unique_ptr<Greeter::Stub> stub_;
};

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Calls helloworld.Greeter over a spool.");
  absl::ParseCommandLine(argc, argv);
  const auto channel = spoolrpc::CreateChannel(absl::GetFlag(FLAGS_spool));
  if (!channel.ok()) {
    fprintf(stderr, "greeter_client: %s\n", channel.status().ToString().c_str());
    return 1;
  }
  GreeterClient greeter(*channel);
  for (int i = 0; i < absl::GetFlag(FLAGS_calls); ++i) {
    const absl::StatusOr<std::string> reply = greeter.SayHello(absl::GetFlag(FLAGS_name));
    if (!reply.ok()) {
      fprintf(stderr, "greeter_client: %s: %s\n",
              absl::StatusCodeToString(reply.status().code()).c_str(),
              std::string(reply.status().message()).c_str());
      return 1;
    }
    printf("Greeter received: %s\n", reply->c_str());
  }
  return 0;
}
