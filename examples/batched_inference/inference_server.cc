// A server that asks its model about the images of many clients at once.

#include <signal.h>
#include <stdio.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "examples/batched_inference/inference.spoolrpc.pb.h"
#include "examples/batched_inference/model.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, spool, "",
          "the spool to serve: spool:/path or a plain path; empty: "
          "$SPOOLRPC_DIR, or ~/.cache/spoolrpc");
ABSL_FLAG(int, max_batch, 32, "how many images go through the model together, at most");
ABSL_FLAG(absl::Duration, max_delay, absl::Milliseconds(2),
          "how long the first image of a batch waits for others; 0: a batch is what is there");
ABSL_FLAG(int, workers, 1, "how many batches are worked on at once");

namespace {

using inference::Image;
using inference::Inference;
using inference::Label;
using inference::Model;

class InferenceServiceImpl final : public Inference::Service {
  absl::Status Classify(spoolrpc::BatchContext* batch, absl::Span<const Image* const> images,
                        absl::Span<Label* const> labels) override {
    // Those that are worth the model's time.
    std::vector<int> good;
    std::vector<const float*> pixels;
    for (int i = 0; i < batch->size(); ++i) {
      if (images[i]->pixels_size() != Model::kPixels) {
        batch->SetStatus(i, absl::InvalidArgumentError(
                                absl::StrCat("the image has ", images[i]->pixels_size(),
                                             " pixels, the model's have ", Model::kPixels)));
      } else if (!batch->context(i)->IsCancelled()) {
        good.push_back(i);
        pixels.push_back(images[i]->pixels().data());
      }
    }
    const std::vector<Model::Answer> answers = model_.Classify(pixels);
    for (size_t i = 0; i < good.size(); ++i) {
      Label* const label = labels[good[i]];
      label->set_label(answers[i].label);
      label->set_score(answers[i].score);
      label->set_batch_size(static_cast<int>(good.size()));
    }
    return absl::OkStatus();
  }

  const Model model_;
};

int RunServer() {
  // SIGTERM and SIGINT are taken by a thread that drains the server.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  InferenceServiceImpl service;
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  builder.RegisterService(&service);
  // Workers of its own: services that may be added beside it are not held up by the model.
  builder.set_method_concurrency("/inference.Inference/Classify", absl::GetFlag(FLAGS_workers));
  // What inference.proto says is the default; here it is to be varied.
  builder.set_method_batch("/inference.Inference/Classify", absl::GetFlag(FLAGS_max_batch),
                           absl::GetFlag(FLAGS_max_delay));
  absl::StatusOr<std::unique_ptr<spoolrpc::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "inference_server: %s\n", server.status().ToString().c_str());
    return 1;
  }
  printf("Server listening on spool:%s\n", (*server)->spools()[0].c_str());
  fflush(stdout);

  std::thread([&signals, server = server->get()] {
    int signal = 0;
    sigwait(&signals, &signal);
    server->Shutdown();
  }).detach();
  const absl::Status ended = (*server)->Wait();
  if (!ended.ok()) fprintf(stderr, "inference_server: %s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Serves inference.Inference on a spool until SIGTERM.");
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
