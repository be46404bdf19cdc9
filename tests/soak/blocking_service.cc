#include "tests/soak/blocking_service.h"

#include <memory>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "tests/soak/plan.h"

namespace spoolrpc::soak {
namespace {

// False as soon as nobody waits for the call any more.
bool TakeTime(ServerContext* context, const Job& job) {
  if (job.microseconds() == 0) return true;
  // (It may still be told after this function, but not once the context is gone.)
  const auto nobody_waits = std::make_shared<absl::Notification>();
  context->NotifyOnCancel([context, nobody_waits] {
    if (context->IsCancelled()) nobody_waits->Notify();
  });
  return !nobody_waits->WaitForNotificationWithTimeout(absl::Microseconds(job.microseconds()));
}

bool ContentWith(const Job& job, uint32_t messages) {
  return job.stop_after() > 0 && messages >= job.stop_after();
}

}  // namespace

absl::Status BlockingService::Work(ServerContext* context, const Job& job, Answer* answer) {
  journal_->OnBegin(context, job);
  journal_->Check(job, job, 0);
  if (!TakeTime(context, job)) return NobodyWaits();
  FillAnswer(job, 0, 1, answer);
  return EndOf(job);
}

absl::Status BlockingService::Inline(ServerContext* context, const Job* job, Answer* answer) {
  journal_->OnBegin(context, *job);
  journal_->Check(*job, *job, 0);
  FillAnswer(*job, 0, 1, answer);
  return EndOf(*job);
}

absl::Status BlockingService::Gathered(BatchContext* batch, absl::Span<const Job* const> jobs,
                                       absl::Span<Answer* const> answers) {
  // As long as the slowest of them.
  const Job* slowest = jobs[0];
  int slowest_index = 0;
  for (int i = 0; i < batch->size(); ++i) {
    journal_->OnBegin(batch->context(i), *jobs[i]);
    journal_->Check(*jobs[i], *jobs[i], 0);
    if (jobs[i]->microseconds() > slowest->microseconds()) {
      slowest = jobs[i];
      slowest_index = i;
    }
  }
  TakeTime(batch->context(slowest_index), *slowest);
  for (int i = 0; i < batch->size(); ++i) {
    FillAnswer(*jobs[i], 0, 1, answers[i]);
    batch->SetStatus(i, batch->context(i)->IsCancelled() ? NobodyWaits() : EndOf(*jobs[i]));
  }
  return absl::OkStatus();
}

absl::Status BlockingService::Collect(ServerContext* context, ServerReader<Job>* reader,
                                      Answer* answer) {
  const Job job = journal_->BeginStream(context);
  if (!TakeTime(context, job)) return NobodyWaits();
  uint32_t messages = 0;
  for (Job request; !ContentWith(job, messages) && reader->Read(&request);) {
    journal_->Check(job, request, messages++);
  }
  FillAnswer(job, 0, messages, answer);
  return EndOf(job);
}

absl::Status BlockingService::Expand(ServerContext* context, const Job* job,
                                     ServerWriter<Answer>* writer) {
  journal_->OnBegin(context, *job);
  journal_->Check(*job, *job, 0);
  if (job->call() % 4 == 0) writer->SendInitialMetadata();
  if (!TakeTime(context, *job)) return NobodyWaits();
  Answer answer;
  for (uint32_t i = 0; i < job->replies(); ++i) {
    FillAnswer(*job, i, 1, &answer);
    WriteOptions options;
    if (i % 4 == 1) options.set_buffer_hint();
    if (i + 1 == job->replies() && job->call() % 3 == 0) options.set_last_message();
    if (!writer->Write(answer, options)) return NobodyWaits();
  }
  return EndOf(*job);
}

absl::Status BlockingService::Talk(ServerContext* context,
                                   ServerReaderWriter<Answer, Job>* stream) {
  const Job job = journal_->BeginStream(context);
  if (!TakeTime(context, job)) return NobodyWaits();
  uint32_t messages = 0;
  Answer answer;
  for (Job request; !ContentWith(job, messages) && stream->Read(&request);) {
    journal_->Check(job, request, messages);
    FillAnswer(job, messages, messages + 1, &answer);
    ++messages;
    if (!stream->Write(answer)) return NobodyWaits();
  }
  return EndOf(job);
}

}  // namespace spoolrpc::soak
