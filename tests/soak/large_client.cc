// Sends a soak server large messages, alone and in streams, and checks every byte of what comes
// back; the server checks every byte that it gets. For two nodes of a network file system
// (tests/nodes/large_test.sh), where a message of many times a log's size is what goes wrong first.
// Prints a line for each call. Exit status 1: something was wrong, which it says on stderr.

#include <stdint.h>
#include <stdio.h>

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/soak/ledger.h"
#include "tests/soak/payload.h"
#include "tests/soak/plan.h"
#include "tests/soak/soak.pb.h"
#include "tests/soak/soak.spoolrpc.pb.h"

ABSL_FLAG(std::string, spool, "", "the spool");
ABSL_FLAG(std::vector<std::string>, mebibytes, {"1"}, "sizes of messages, separated by commas");
ABSL_FLAG(uint32_t, messages, 2, "each way, of a stream");
ABSL_FLAG(absl::Duration, timeout, absl::Minutes(5), "of each call");

namespace spoolrpc::soak {
namespace {

class LargeCalls {
 public:
  explicit LargeCalls(Blocking::StubInterface* stub) : stub_(stub) {}

  bool Unary(size_t size) {
    const Plan plan = NewPlan(Method::kUnary, size);
    ClientContext context;
    Prepare(plan, &context);
    Answer answer;
    const absl::Status status = stub_->Unary(&context, MakeRequest(plan, 0), &answer);
    return Ended(plan, status.ok() ? CheckAnswer(plan, answer, 0) : status);
  }

  // Every request is answered; the next goes when its answer is there.
  bool Talk(size_t size, uint32_t messages) {
    const Plan plan = NewPlan(Method::kTalk, size);
    ClientContext context;
    Prepare(plan, &context);
    context.AddMetadata(kJobKey, MakeJob(plan).SerializeAsString());
    const auto stream = stub_->Talk(&context);
    absl::Status wrong;
    for (uint32_t i = 0; i < messages && wrong.ok(); ++i) {
      Answer answer;
      if (!stream->Write(MakeRequest(plan, i)) || !stream->Read(&answer)) break;
      wrong = CheckAnswer(plan, answer, i);
      if (wrong.ok()) ++answers_;
    }
    stream->WritesDone();
    const absl::Status status = stream->Finish();
    if (wrong.ok() && status.ok() && answers_ != messages) {
      wrong = absl::DataLossError(absl::StrCat(answers_, " answers instead of ", messages));
    }
    return Ended(plan, wrong.ok() ? status : wrong);
  }

 private:
  Plan NewPlan(Method method, size_t size) {
    answers_ = 0;
    began_ = absl::Now();
    Plan plan;
    plan.call = CallName(1, number_++ * 2, false);  // (even: bytes that cannot be compressed)
    plan.method = method;
    plan.request_size = size;
    plan.reply_size = size;
    return plan;
  }

  static void Prepare(const Plan& plan, ClientContext* context) {
    context->set_timeout(absl::GetFlag(FLAGS_timeout));
    // (A call is acknowledged once its message is there, which may take longer than usual.)
    context->set_ack_timeout(absl::GetFlag(FLAGS_timeout));
    context->AddMetadata(kCallKey, absl::StrCat(plan.call));
  }

  static Job MakeRequest(const Plan& plan, uint32_t index) {
    Job job = MakeJob(plan);
    job.set_index(index);
    job.set_size(plan.request_size);
    job.set_payload(MakePayload(plan.call, Direction::kRequest, index, plan.request_size));
    return job;
  }

  static absl::Status CheckAnswer(const Plan& plan, const Answer& answer, uint32_t index) {
    if (answer.call() != plan.call || answer.index() != index) {
      return absl::DataLossError("the answer to another message");
    }
    const std::string error =
        PayloadError(answer.payload(), plan.call, Direction::kReply, index, plan.reply_size);
    return error.empty() ? absl::OkStatus() : absl::DataLossError(error);
  }

  bool Ended(const Plan& plan, const absl::Status& status) const {
    const char* const name = plan.method == Method::kTalk ? "streamed" : "unary";
    const double mebibytes = static_cast<double>(plan.request_size) / (1 << 20);
    if (!status.ok()) {
      fprintf(stderr, "large_client: %s, %.0f MiB: %s\n", name, mebibytes,
              status.ToString().c_str());
      return false;
    }
    printf("%s, %.0f MiB each way: %.1f s\n", name, mebibytes,
           absl::ToDoubleSeconds(absl::Now() - began_));
    fflush(stdout);
    return true;
  }

  Blocking::StubInterface* const stub_;
  uint32_t number_ = 0;
  uint32_t answers_ = 0;  // of the stream at hand
  absl::Time began_;
};

int Run() {
  const auto channel = CreateChannel(absl::GetFlag(FLAGS_spool));
  if (!channel.ok()) {
    fprintf(stderr, "large_client: %s\n", channel.status().ToString().c_str());
    return 1;
  }
  const auto stub = Blocking::NewStub(*channel);
  LargeCalls calls(stub.get());
  bool right = true;
  for (const std::string& text : absl::GetFlag(FLAGS_mebibytes)) {
    uint32_t mebibytes = 0;
    if (!absl::SimpleAtoi(text, &mebibytes)) {
      fprintf(stderr, "large_client: --mebibytes: '%s' is no number\n", text.c_str());
      return 64;
    }
    const size_t size = size_t{mebibytes} << 20;
    right = calls.Unary(size) && right;
    right = calls.Talk(size, absl::GetFlag(FLAGS_messages)) && right;
  }
  return right ? 0 : 1;
}

}  // namespace
}  // namespace spoolrpc::soak

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return spoolrpc::soak::Run();
}
