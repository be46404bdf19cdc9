#include "tests/soak/journal.h"

#include <stdio.h>

#include "absl/strings/str_cat.h"
#include "tests/soak/payload.h"
#include "tests/soak/plan.h"

namespace spoolrpc::soak {

void Journal::OnBegin(ServerContext* context, const Job& job) {
  ledger_.OnExecuted(job.call());
  if (job.compress()) context->set_compression(Compression::kZstd);
  const auto name = context->client_metadata().find(kCallKey);
  if (name == context->client_metadata().end() || name->second != absl::StrCat(job.call())) {
    Report(job, "metadata of another call, or none");
    return;
  }
  context->AddInitialMetadata(kCallKey, name->second);
  // Some of them leave work for later.
  if (job.call() % 8 == 0) context->RunAfterReply([] {});
}

Job Journal::BeginStream(ServerContext* context) {
  Job job;
  const auto bytes = context->client_metadata().find(kJobKey);
  if (bytes == context->client_metadata().end() || !job.ParseFromString(bytes->second)) {
    Report(job, "no job in the metadata");
  }
  OnBegin(context, job);
  return job;
}

void Journal::Check(const Job& job, const Job& request, uint32_t index) {
  std::string wrong;
  if (request.call() != job.call()) {
    wrong = absl::StrCat("a message of call ", CallText(request.call()));
  } else if (request.index() != index) {
    wrong = absl::StrCat("message ", request.index(), " instead of ", index);
  } else {
    wrong = PayloadError(request.payload(), job.call(), Direction::kRequest, index, request.size());
  }
  if (!wrong.empty()) Report(job, wrong);
}

void Journal::Report(const Job& job, const std::string& wrong) {
  ++errors_;
  fprintf(stderr, "soak: WRONG REQUEST: call %s: %s\n", CallText(job.call()).c_str(),
          wrong.c_str());
}

void FillAnswer(const Job& job, uint32_t index, uint32_t messages, Answer* answer) {
  answer->set_call(job.call());
  answer->set_index(index);
  answer->set_messages(messages);
  answer->set_payload(MakePayload(job.call(), Direction::kReply, index, job.reply_size()));
}

absl::Status EndOf(const Job& job) {
  if (job.code() == 0) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(job.code()), ToldToFail(job.call()));
}

}  // namespace spoolrpc::soak
