// Doorbells between two processes of this host.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/doctor/figures.h"
#include "cli/doctor/node_checks.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kQuestions[] = "bell-questions";
constexpr char kAnswers[] = "bell-answers";
constexpr absl::Duration kPatience = absl::Seconds(5);

// The doorbells work, or an error says why not.
absl::Status Wake(const Node& node, Times* times) {
  const Workspace& workspace = *node.workspace;
  auto questions = wait::Doorbell::Create(workspace.calls(), workspace / kQuestions, 1, 0600);
  if (!questions.ok()) return questions.status();
  auto answers = wait::Doorbell::Create(workspace.calls(), workspace / kAnswers, 1, 0600);
  if (!answers.ok()) return answers.status();
  const absl::Status engaged = node.partner->Engage(workspace / kQuestions, workspace / kAnswers);
  if (!engaged.ok()) return engaged;
  if (!(*answers)->echoed(0)) {
    return absl::FailedPreconditionError("what another process writes into it does not arrive");
  }
  for (int i = 1; i <= node.examination->limits().round_trips; ++i) {
    const os::Nanos began = node.examination->Now();
    const uint32_t seen = (*answers)->counter();
    (*questions)->Ring(0, i);
    while ((*answers)->counter() == seen) {
      (*answers)->Sleep(seen, absl::ToInt64Nanoseconds(absl::Milliseconds(100)));
      if (node.examination->Now() > os::After(began, kPatience)) {
        return absl::DeadlineExceededError("the other process was not woken");
      }
    }
    times->Add(node.examination->Now() - began);
    if (absl::Status s = node.examination->Pause(absl::ZeroDuration()); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace

void CheckMemory(const Node& node) {
  if (node.partner == nullptr) return;
  node.examination->Run("doorbell", [&](Finding* finding) -> absl::Status {
    if (node.workspace->network()) {
      finding->result = Result::kInfo;
      finding->figure = "not used";
      finding->meaning = "on a network file system calls are polled for";
      return absl::OkStatus();
    }
    Times times;
    const absl::Status status = Wake(node, &times);
    times.Store("", finding);
    finding->figures["works"] = status.ok() ? 1 : 0;
    finding->figure = times.Text();
    finding->meaning = "waking another process through mapped memory, and back";
    if (!status.ok()) {
      finding->result = Result::kWarn;
      finding->figure = "does not work";
      finding->meaning =
          absl::StrCat("processes of this host have to poll for calls: ", status.message());
    }
    return absl::OkStatus();
  });
}

}  // namespace spoolrpc::cli::doctor
