#include "tests/simulation/programs.h"

#include <string.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "spoolrpc/spoolrpc.h"
#include "tests/simulation/inside.h"
#include "tests/simulation/simulated_files.h"
#include "tests/simulation/simulated_host.h"
#include "tests/simulation/simulation.pb.h"
#include "tests/simulation/simulation.spoolrpc.pb.h"
#include "tests/simulation/verbose.h"

namespace spoolrpc::simulation {
namespace {

constexpr absl::Duration kCollectTime = absl::Seconds(20);

class WorldLog final : public LogSink {
 public:
  explicit WorldLog(int process) : process_(process) {}
  void Log(LogLevel level, absl::Time when, absl::string_view message) override {
    if (!Verbose()) return;
    const os::Nanos since = CurrentArena()->now.load() - kStart;
    fprintf(stderr, "%3ld.%06ld p%d says: %s\n", static_cast<long>(since / 1000000000),
            static_cast<long>(since % 1000000000 / 1000), process_, std::string(message).c_str());
  }

 private:
  const int process_;
};

struct World {
  explicit World(int process) : host(process), log(process) {
    environment.calls = &files;
    environment.host = &host;
  }
  SimulatedFiles files;
  SimulatedHost host;
  WorldLog log;
  os::Environment environment;
};

HistoryEvent Happening(HistoryEvent::Kind kind, Idempotency method, const std::string& id) {
  HistoryEvent event = {};
  event.kind = kind;
  event.method = static_cast<int>(method);
  strncpy(event.id, id.c_str(), sizeof(event.id) - 1);
  return event;
}

void SetText(HistoryEvent* event, absl::string_view text) {
  const size_t length = std::min(text.size(), sizeof(event->text) - 1);
  memcpy(event->text, text.data(), length);
  event->text[length] = '\0';
}

void SetStatus(HistoryEvent* event, const absl::Status& status) {
  event->code = static_cast<int>(status.code());
  event->reason = -1;
  if (const auto info = GetErrorInfo(status); info.has_value()) {
    event->reason = info->reason();
    event->may_have_executed = info->may_have_executed();
  }
  SetText(event, status.message());
}

class SimulatedService final : public Simulated::Service {
 public:
  absl::Status Once(ServerContext* context, const Work* request, Done* reply) override {
    return Execute(Idempotency::kOnce, *request, reply);
  }
  absl::Status AckFirst(ServerContext* context, const Work* request, Done* reply) override {
    return Execute(Idempotency::kAckFirst, *request, reply);
  }
  absl::Status Idempotent(ServerContext* context, const Work* request, Done* reply) override {
    return Execute(Idempotency::kIdempotent, *request, reply);
  }

 private:
  static absl::Status Execute(Idempotency method, const Work& request, Done* reply) {
    Record(Happening(HistoryEvent::Kind::kExecute, method, request.id()));
    absl::SleepFor(absl::Microseconds(request.microseconds()));
    reply->set_id(request.id());
    reply->set_payload(request.payload());
    return absl::OkStatus();
  }
};

Work MakeWork(const std::string& id, const CallPlan& plan) {
  Work work;
  work.set_id(id);
  work.set_microseconds(plan.work / 1000);
  // Different for each, so that one reply cannot pass for another's.
  std::string payload;
  while (static_cast<int>(payload.size()) < plan.payload) absl::StrAppend(&payload, id, ".");
  work.set_payload(payload.substr(0, plan.payload));
  return work;
}

bool Answers(const Done& reply, const Work& work) {
  return reply.id() == work.id() && reply.payload() == work.payload();
}

// `stub` is a stub, or what its durable() returns.
template <class Stub, class... Arguments>
auto Call(Stub stub, Idempotency method, Arguments&&... arguments) {
  switch (method) {
    case Idempotency::kAckFirst:
      return stub->AckFirst(arguments...);
    case Idempotency::kIdempotent:
      return stub->Idempotent(arguments...);
    case Idempotency::kOnce:
      break;
  }
  return stub->Once(arguments...);
}

void MakeCall(Simulated::Stub* stub, const std::string& id, const CallPlan& plan) {
  const Work work = MakeWork(id, plan);
  ClientContext context;
  if (plan.timeout > 0) context.set_timeout(absl::Nanoseconds(plan.timeout));
  Done reply;
  Record(Happening(HistoryEvent::Kind::kBegin, plan.method, id));
  const absl::Status status = Call(stub, plan.method, &context, work, &reply);
  HistoryEvent end = Happening(HistoryEvent::Kind::kEnd, plan.method, id);
  SetStatus(&end, status);
  end.right_reply = status.ok() && Answers(reply, work);
  Record(end);
}

void Collect(Simulated::Stub* stub, const Ticket& ticket, const std::string& id, Idempotency method,
             absl::Duration wait) {
  Done reply;
  const absl::Status status = stub->durable()->Collect(ticket, &reply, wait);
  HistoryEvent end = Happening(HistoryEvent::Kind::kCollected, method, id);
  SetStatus(&end, status);
  end.right_reply = status.ok() && reply.id() == id;
  Record(end);
}

void MakeDurableCall(Simulated::Stub* stub, const std::string& id, const CallPlan& plan) {
  const Work work = MakeWork(id, plan);
  Record(Happening(HistoryEvent::Kind::kBegin, plan.method, id));
  absl::StatusOr<Ticket> ticket = Call(stub->durable(), plan.method, work);
  if (!ticket.ok()) {
    HistoryEvent end = Happening(HistoryEvent::Kind::kEnd, plan.method, id);
    SetStatus(&end, ticket.status());
    Record(end);
    return;
  }
  HistoryEvent submitted = Happening(HistoryEvent::Kind::kSubmitted, plan.method, id);
  SetText(&submitted, ticket->ToString());
  Record(submitted);
  if (plan.timeout > 0) Collect(stub, *ticket, id, plan.method, absl::Nanoseconds(plan.timeout));
}

std::shared_ptr<Channel> Connect(World* world, os::Nanos term, os::Nanos ack_timeout) {
  ChannelOptions options;
  options.environment = world->environment;
  options.lease_term = absl::Nanoseconds(term);
  options.ack_timeout = absl::Nanoseconds(ack_timeout);
  options.log_capacity = 64 * 1024;
  options.poll_interval = {absl::Milliseconds(1), absl::Milliseconds(100)};
  options.log_sink = &world->log;
  auto channel = CreateChannel(kSpool, options);
  if (!channel.ok()) abort();
  return *channel;
}

}  // namespace

void RunServer(int process, const ServerOptions& options) {
  World world(process);
  SimulatedService service;
  ServerBuilder builder;
  builder.AddSpool(kSpool);
  builder.RegisterService(&service);
  builder.set_environment(world.environment);
  builder.set_lease_term(absl::Nanoseconds(options.lease_term));
  builder.set_workers(options.workers);
  builder.set_log_capacity(64 * 1024);
  builder.set_poll_interval({absl::Milliseconds(2), absl::Milliseconds(500)});
  builder.set_log_sink(&world.log);
  builder.set_log_level(LogLevel::kDebug);
  auto server = builder.BuildAndStart();
  HistoryEvent stopped = Happening(HistoryEvent::Kind::kStopped, Idempotency::kOnce, "");
  if (!server.ok()) {
    SetStatus(&stopped, server.status());
    Record(stopped);
    return;
  }
  Record(Happening(HistoryEvent::Kind::kServing, Idempotency::kOnce, ""));
  std::thread stopper([server = server->get()] {
    AwaitStop();
    server->Shutdown();
  });
  SetStatus(&stopped, (*server)->Wait());
  // (One that stepped down nobody has to ask.)
  AskedToStop() ? stopper.join() : stopper.detach();
  server->reset();
  Record(stopped);
}

void RunClient(int process, const ClientOptions& options) {
  World world(process);
  const auto channel = Connect(&world, options.lease_term, options.ack_timeout);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < options.threads.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto stub = Simulated::NewStub(channel);
      int number = 0;
      for (const CallPlan& call : options.threads[i]) {
        absl::SleepFor(absl::Nanoseconds(call.pause));
        if (AskedToStop()) return;
        const std::string id = absl::StrCat("c", process, ".", i, ".", number++);
        call.durable ? MakeDurableCall(stub.get(), id, call) : MakeCall(stub.get(), id, call);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void RunCollector(int process) {
  World world(process);
  const auto stub = Simulated::NewStub(Connect(&world, 2000000000, 6000000000));
  const Arena* const arena = CurrentArena();
  for (int i = 0; i < arena->event_count; ++i) {
    const HistoryEvent event = arena->events[i];
    if (event.kind != HistoryEvent::Kind::kSubmitted) continue;
    const auto ticket = Ticket::Parse(event.text);
    if (!ticket.ok()) abort();
    Collect(stub.get(), *ticket, event.id, static_cast<Idempotency>(event.method), kCollectTime);
    stub->durable()->Delete(*ticket).IgnoreError();
  }
}

}  // namespace spoolrpc::simulation
