// A server of schema_other.proto, in a process of its own. Prints "ready" when it serves, and then
// the name of every method that it executes. Ends with the process that started it.
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/e2e/schema_other.spoolrpc.pb.h"

ABSL_FLAG(std::string, spool, "", "the spool to serve");
ABSL_FLAG(bool, network, false, "as on a network file system");

namespace {

using ::schema::Another;
using ::schema::Grows;
using ::schema::Same;
using spoolrpc::ServerContext;

// Of a call to `method`: all of them answer with the text that they are given.
template <class Request, class Reply>
absl::Status Answer(const char* method, const Request& request, Reply* reply) {
  printf("%s\n", method);
  fflush(stdout);
  reply->set_text(request.text());
  return absl::OkStatus();
}

class OtherStore final : public ::schema::Store::Service {
 public:
  absl::Status Equal(ServerContext*, const Same* request, Same* reply) override {
    return Answer("Equal", *request, reply);
  }
  absl::Status Extended(ServerContext*, const Grows* request, Grows* reply) override {
    reply->set_count(1);
    return Answer("Extended", *request, reply);
  }
  absl::Status OtherRequest(ServerContext*, const Another* request, Same* reply) override {
    return Answer("OtherRequest", *request, reply);
  }
  absl::Status OtherReply(ServerContext*, const Same* request, Another* reply) override {
    return Answer("OtherReply", *request, reply);
  }
  absl::Status Single(ServerContext*, const Same* request,
                      spoolrpc::ServerWriter<Same>* writer) override {
    Same reply;
    const absl::Status status = Answer("Single", *request, &reply);
    writer->Write(reply);
    return status;
  }
};

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::ParseCommandLine(argc, argv);
  OtherStore service;
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  builder.set_log_level(spoolrpc::LogLevel::kWarning);
  if (absl::GetFlag(FLAGS_network)) builder.set_transport(spoolrpc::spool::Transport::kNetwork);
  const auto server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "%s\n", server.status().ToString().c_str());
    return 1;
  }
  printf("ready\n");
  fflush(stdout);
  return (*server)->Wait().ok() ? 0 : 1;
}
