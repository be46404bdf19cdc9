// Many clients that each ask about one image after the other, and what that came to.

#include <math.h>
#include <stdio.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "examples/batched_inference/inference.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, spool, "",
          "the spool: spool:/path or a plain path; empty: $SPOOLRPC_DIR, "
          "or ~/.cache/spoolrpc");
ABSL_FLAG(int, clients, 32, "how many clients, each with a session and a thread of its own");
ABSL_FLAG(int, calls, 100, "how many calls each of them makes");
ABSL_FLAG(absl::Duration, ack_timeout, absl::Seconds(20), "how long to wait for a server");
ABSL_FLAG(
    bool, table, false,
    "print only the numbers: clients, calls, calls a second, mean batch size, median and 99th "
    "percentile of the time of a call in milliseconds");

namespace {

using inference::Image;
using inference::Inference;
using inference::Label;

constexpr int kImages = 16;

// What one client has to tell.
struct Report {
  absl::Status status;
  std::vector<double> milliseconds;  // of each call
  double batch_sizes = 0;            // their sum
  Label answers[kImages];            // without the batch's size
};

// Always the same waves.
Image MakeImage(int number) {
  Image image;
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 16; ++x) {
      const int waves = x * (number % 4 + 1) + y * (number / 4 + 1);
      image.add_pixels(0.5F + 0.5F * sinf(static_cast<float>(waves) / 4));
    }
  }
  return image;
}

bool SameAnswer(const Label& a, const Label& b) {
  return a.label() == b.label() && a.score() == b.score();
}

Report RunClient(int calls) {
  Report report;
  const auto channel = spoolrpc::CreateChannel(absl::GetFlag(FLAGS_spool));
  if (!channel.ok()) {
    report.status = channel.status();
    return report;
  }
  const auto stub = Inference::NewStub(*channel);
  std::vector<Image> images;
  for (int i = 0; i < kImages; ++i) images.push_back(MakeImage(i));
  for (int i = 0; i < calls; ++i) {
    spoolrpc::ClientContext context;
    context.set_ack_timeout(absl::GetFlag(FLAGS_ack_timeout));
    Label label;
    const absl::Time began = absl::Now();
    report.status = stub->Classify(&context, images[i % kImages], &label);
    if (!report.status.ok()) return report;
    report.milliseconds.push_back(absl::ToDoubleMilliseconds(absl::Now() - began));
    report.batch_sizes += label.batch_size();
    Label& answer = report.answers[i % kImages];
    if (i >= kImages && !SameAnswer(answer, label)) {
      report.status = absl::InternalError(absl::StrCat("image ", i % kImages, ": two answers"));
      return report;
    }
    answer = label;
  }
  return report;
}

// `values` are sorted, and some.
double Quantile(const std::vector<double>& values, double quantile) {
  return values[static_cast<size_t>(quantile * static_cast<double>(values.size() - 1))];
}

int Run() {
  const int clients = absl::GetFlag(FLAGS_clients);
  const int calls = absl::GetFlag(FLAGS_calls);
  if (clients < 1 || calls < 1) {
    fprintf(stderr, "inference_client: --clients and --calls must be at least 1\n");
    return 64;
  }
  std::vector<Report> reports(clients);
  const absl::Time began = absl::Now();
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&reports, calls, i] { reports[i] = RunClient(calls); });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - began);
  std::vector<double> milliseconds;
  double batch_sizes = 0;
  for (const Report& report : reports) {
    absl::Status status = report.status;
    // Whatever it was batched with, an image has one answer.
    for (int i = 0; status.ok() && i < std::min(calls, kImages); ++i) {
      if (!SameAnswer(report.answers[i], reports[0].answers[i])) {
        status = absl::InternalError(absl::StrCat("image ", i, ": two answers"));
      }
    }
    if (!status.ok()) {
      fprintf(stderr, "inference_client: %s\n", status.ToString().c_str());
      return 1;
    }
    milliseconds.insert(milliseconds.end(), report.milliseconds.begin(), report.milliseconds.end());
    batch_sizes += report.batch_sizes;
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto count = static_cast<double>(milliseconds.size());
  printf(absl::GetFlag(FLAGS_table)
             ? "%d %.0f %.0f %.2f %.2f %.2f\n"
             : "%d clients, %.0f calls: %.0f calls/s, mean batch %.2f, a call takes %.2f ms "
               "(median), %.2f ms (99%%)\n",
         clients, count, count / seconds, batch_sizes / count, Quantile(milliseconds, 0.5),
         Quantile(milliseconds, 0.99));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Calls inference.Inference over a spool, from many clients.");
  absl::ParseCommandLine(argc, argv);
  return Run();
}
