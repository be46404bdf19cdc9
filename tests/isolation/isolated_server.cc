// A server of isolated.proto. Prints "ready" when it serves; SIGTERM drains it.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/isolation/isolated.spoolrpc.pb.h"

ABSL_FLAG(std::string, spool, "", "the spool to serve");
ABSL_FLAG(bool, network, false, "as on a network file system");
ABSL_FLAG(bool, with_thread, false, "start a thread before the server");
ABSL_FLAG(bool, callback, false, "serve an isolated method by a reactor");
ABSL_FLAG(absl::Duration, drain, absl::InfiniteDuration(), "how long SIGTERM lets handlers run");

namespace {

using isolated::Text;

std::string Rest(const std::string& text) { return text.substr(text.find(' ') + 1); }

void Append(const std::string& path, const std::string& line) {
  std::ofstream(path, std::ios::app) << line << std::endl;
}

class IsolatedImpl final : public isolated::Isolated::Service {
 public:
  absl::Status Do(spoolrpc::ServerContext* context, const Text* request, Text* reply) override {
    const std::string& text = request->text();
    reply->set_number(getpid());
    reply->set_text(absl::StrCat(++calls_));
    if (text == "echo") {
      for (const auto& [key, value] : context->client_metadata()) {
        context->AddInitialMetadata("initial-" + key, value);
        context->AddTrailingMetadata("trailing-" + key, value);
      }
      reply->set_text(absl::StrCat(context->peer(), " files of ", context->peer_identity().uid, " ",
                                   context->peer_identity().gid));
      reply->set_payload(request->payload());
    } else if (text == "bad metadata") {
      context->AddTrailingMetadata("No Key", "x");
    } else if (text == "segv") {
      signal(SIGSEGV, SIG_DFL);
      raise(SIGSEGV);
    } else if (text == "abort") {
      abort();
    } else if (absl::StartsWith(text, "exit ")) {
      int status = 0;
      if (absl::SimpleAtoi(Rest(text), &status)) exit(status);  // NOLINT(concurrency-mt-unsafe)
    } else if (text == "throw") {
      throw std::out_of_range("beyond");
    } else if (text == "fail") {
      return absl::NotFoundError("nothing there");
    } else if (absl::StartsWith(text, "spin ")) {
      // Neither sleeps nor asks whether it was cancelled: only a kill ends this, and what it has
      // started.
      if (fork() == 0) {
        Append(Rest(text), absl::StrCat(getpid()));
        for (;;) pause();
      }
      Append(Rest(text), absl::StrCat(getpid()));
      for (volatile int i = 0;; i = i + 1) {
      }
    } else if (absl::StartsWith(text, "wait ")) {
      while (access(Rest(text).c_str(), F_OK) != 0) absl::SleepFor(absl::Milliseconds(2));
    } else if (text == "later segv") {
      context->RunAfterReply([] { raise(SIGSEGV); });
    } else if (absl::StartsWith(text, "later ")) {
      const std::string path = Rest(text);
      context->RunAfterReply([path] { Append(path, absl::StrCat("first ", getpid())); });
      context->RunAfterReply([path] { Append(path, absl::StrCat("second ", getpid())); });
    } else if (text == "cancel") {
      context->TryCancel();
      for (;;) pause();
    } else if (text == "deadline") {
      reply->set_number(absl::ToInt64Milliseconds(context->deadline() - absl::Now()));
    } else {
      return absl::InvalidArgumentError(text);
    }
    return absl::OkStatus();
  }

  absl::Status Collect(spoolrpc::ServerContext* context, spoolrpc::ServerReader<Text>* reader,
                       Text* reply) override {
    Text text;
    while (reader->Read(&text)) {
      if (text.text() == "abort") abort();
      if (text.text() == "stop") break;
      reply->set_number(reply->number() + text.number());
    }
    return absl::OkStatus();
  }

  absl::Status Talk(spoolrpc::ServerContext* context,
                    spoolrpc::ServerReaderWriter<Text, Text>* stream) override {
    context->AddInitialMetadata("said", "first");
    stream->SendInitialMetadata();
    // One thread writes while another one reads.
    std::thread writer([stream] {
      Text text;
      text.set_text("hello");
      stream->Write(text);
    });
    writer.join();
    Text text;
    while (stream->Read(&text)) {
      if (text.text() == "abort") abort();
      text.set_text("you said " + text.text());
      if (!stream->Write(text)) return absl::CancelledError("nobody reads");
    }
    context->AddTrailingMetadata("said", "last");
    return absl::OkStatus();
  }

  absl::Status Gather(spoolrpc::BatchContext* batch, absl::Span<const Text* const> requests,
                      absl::Span<Text* const> replies) override {
    for (int i = 0; i < batch->size(); ++i) {
      const std::string& text = requests[i]->text();
      replies[i]->set_number(batch->size());
      replies[i]->set_text("did " + text);
      batch->context(i)->AddTrailingMetadata("index", absl::StrCat(i));
      if (text == "fail") batch->SetStatus(i, absl::NotFoundError("nothing there"));
      if (text == "abort") abort();
      if (text == "throw") throw std::out_of_range("beyond");
    }
    return absl::OkStatus();
  }

  absl::Status Here(spoolrpc::ServerContext* context, const Text* request, Text* reply) override {
    if (request->text() == "throw") throw std::out_of_range("here");
    reply->set_number(getpid());
    reply->set_text(absl::StrCat(calls_));
    return absl::OkStatus();
  }

  absl::Status Check(spoolrpc::ServerContext* context, const Text* request, Text* reply) override {
    reply->set_text(server->Check().ToString());
    return absl::OkStatus();
  }

  spoolrpc::Server* server = nullptr;

 private:
  int calls_ = 0;
};

class ReactorImpl final
    : public isolated::Isolated::WithCallbackMethod_Do<isolated::Isolated::Service> {};

int RunServer() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (absl::GetFlag(FLAGS_with_thread)) std::thread([] { pause(); }).detach();
  IsolatedImpl service;
  ReactorImpl reactor;
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(absl::GetFlag(FLAGS_spool));
  if (absl::GetFlag(FLAGS_callback)) {
    builder.RegisterService(&reactor);
  } else {
    builder.RegisterService(&service);
  }
  if (absl::GetFlag(FLAGS_network)) builder.set_transport(spoolrpc::spool::Transport::kNetwork);
  builder.set_log_level(spoolrpc::LogLevel::kWarning);
  auto server = builder.BuildAndStart();
  if (!server.ok()) {
    printf("failed %s\n", server.status().ToString().c_str());
    return 1;
  }
  service.server = server->get();
  printf("ready\n");
  fflush(stdout);
  std::thread([&signals, server = server->get()] {
    int signal = 0;
    sigwait(&signals, &signal);
    server->Shutdown(absl::Now() + absl::GetFlag(FLAGS_drain));
  }).detach();
  return (*server)->Wait().ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::ParseCommandLine(argc, argv);
  return RunServer();
}
