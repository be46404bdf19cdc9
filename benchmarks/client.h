// A contender's client. SpoolRPC's generated code has the shape of gRPC's, so this one template is
// both clients: they differ in nothing but the call.
//
// Modes (--mode), each of which prints one line of results (benchmarks/measure.h):
//   latency        one call after another
//   large          the same, of large messages: only the first replies are compared in full;
//                  large_raw, if the contender has it, with messages that are bytes
//   rate_blocking  calls a second of --in_flight threads on one channel, with the blocking stub
//   rate_async     calls a second with so many in flight, with the callback stub: the end of a call
//                  starts the next one
//   stream         messages a second of one server stream, read by a reactor
//   stream_reader  the same, read by the blocking reader; --method is Download or DownloadHinted
//   setup          the time from nothing to the first reply, of each of --calls channels, one after
//                  another, in a process that has made calls before
//   first_call     the time of the next call of each of --calls channels after --pause without any
//   idle           keeps --calls channels, each of which has made a call, until its input ends
//
// An Api has the names of one contender:
//   Service, Status, ClientContext, ReadReactor<Message>
//   Connect(address, large) -> std::shared_ptr of a channel; `large`: messages of any size
//   Describe(status) -> std::string
//   OtherMethod(channel, name) -> EchoCall of a method that not all contenders have, or null
//   OtherMode(settings) -> the results of a mode that not all contenders have, or ""
#ifndef SPOOLRPC_BENCHMARKS_CLIENT_H_
#define SPOOLRPC_BENCHMARKS_CLIENT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/client_settings.h"
#include "benchmarks/die.h"
#include "benchmarks/echo.pb.h"
#include "benchmarks/measure.h"

namespace spoolrpc::benchmarks {

// Makes one blocking call, on any of many threads at once. Ends the program if it fails.
using EchoCall = std::function<void(const EchoMessage& request, EchoMessage* reply)>;

inline EchoMessage MakeMessage(int payload_bytes) {
  EchoMessage message;
  message.set_payload(std::string(payload_bytes, 'x'));
  return message;
}

template <class Api>
void DieUnlessOk(const typename Api::Status& status) {
  if (!status.ok()) Die(Api::Describe(status));
}

// A call of one of a stub's methods.
template <class Api, class Stub, class Method>
EchoCall MakeCall(std::shared_ptr<Stub> stub, Method method) {
  return [stub, method](const EchoMessage& request, EchoMessage* reply) {
    typename Api::ClientContext context;
    DieUnlessOk<Api>(((*stub).*method)(&context, request, reply));
  };
}

template <class Api>
EchoCall FindCall(const ClientSettings& settings, bool large) {
  using Stub = typename Api::Service::Stub;
  const auto channel = Api::Connect(settings.address, large);
  std::shared_ptr<Stub> stub = Api::Service::NewStub(channel);
  if (settings.method == "Echo") return MakeCall<Api>(stub, &Stub::Echo);
  if (settings.method == "CallbackEcho") return MakeCall<Api>(stub, &Stub::CallbackEcho);
  EchoCall other = Api::OtherMethod(channel, settings.method);
  if (other == nullptr) Die(absl::StrCat("there is no method ", settings.method));
  return other;
}

// Keeps a number of calls of CallbackEcho in flight on one channel.
template <class Api>
class CallsInFlight {
 public:
  CallsInFlight(const std::string& address, int in_flight, const EchoMessage& request)
      : request_(request),
        stub_(Api::Service::NewStub(Api::Connect(address, false))),
        calls_(in_flight),
        open_(in_flight) {}

  void Start() {
    for (Call& call : calls_) StartOne(&call);
  }
  // Waits until the last call has ended.
  void Stop() {
    stop_.store(true, std::memory_order_relaxed);
    none_.WaitForNotification();
  }
  // How many calls have ended.
  uint64_t ended() const {
    uint64_t sum = 0;
    for (const Call& call : calls_) sum += call.ended.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  // A place for one call at a time, whose count has a cache line of its own.
  struct alignas(64) Call {
    std::optional<typename Api::ClientContext> context;
    EchoMessage reply;
    std::atomic<uint64_t> ended{0};
  };

  void StartOne(Call* call) {
    call->context.emplace();
    stub_->async()->CallbackEcho(
        &*call->context, &request_, &call->reply,
        [this, call](const typename Api::Status& status) { OnEnd(call, status); });
  }

  void OnEnd(Call* call, const typename Api::Status& status) {
    DieUnlessOk<Api>(status);
    if (call->reply.payload() != request_.payload()) Die("the echo differs from the request");
    call->ended.store(call->ended.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (!stop_.load(std::memory_order_relaxed)) {
      StartOne(call);
    } else if (open_.fetch_sub(1) == 1) {
      none_.Notify();
    }
  }

  const EchoMessage request_;
  const std::unique_ptr<typename Api::Service::Stub> stub_;
  std::vector<Call> calls_;
  std::atomic<int> open_;
  std::atomic<bool> stop_{false};
  absl::Notification none_;
};

// Reads a stream that the server writes as fast as it can.
template <class Api>
class StreamInFlight : public Api::template ReadReactor<EchoMessage> {
 public:
  StreamInFlight(typename Api::Service::Stub* stub, const EchoMessage& request)
      : request_(request) {
    stub->async()->Download(&context_, &request_, this);
    this->StartRead(&message_);
    this->StartCall();
  }

  // Waits until the call has ended.
  void Stop() {
    context_.TryCancel();
    done_.WaitForNotification();
  }
  uint64_t messages() const { return messages_.load(std::memory_order_relaxed); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (message_.payload() != request_.payload()) Die("a message differs from the request");
    messages_.store(messages() + 1, std::memory_order_relaxed);
    this->StartRead(&message_);
  }
  void OnDone(const typename Api::Status&) override { done_.Notify(); }

  const EchoMessage request_;
  typename Api::ClientContext context_;
  EchoMessage message_;
  std::atomic<uint64_t> messages_{0};
  absl::Notification done_;
};

template <class Api>
std::string MeasureCalls(const ClientSettings& settings) {
  const bool large = settings.mode == "large";
  const EchoCall call = FindCall<Api>(settings, large);
  const EchoMessage request = MakeMessage(settings.payload_bytes);
  const auto checked = [&] {
    EchoMessage reply;
    call(request, &reply);
    if (reply.payload() != request.payload()) Die("the echo differs from the request");
  };
  checked();  // connects
  LatencyPlan plan = {settings.warmup, settings.calls, settings.pause, settings.server};
  if (settings.await_start) TellReadyAndWait();
  if (settings.mode == "rate_blocking") {
    return Format(MeasureRate(settings.in_flight, settings.duration, settings.server, checked));
  }
  Latency latency;
  if (large) {
    for (int i = 0; i < plan.warmup; ++i) checked();
    plan.warmup = 0;
    latency = MeasureLatency(plan, [&] {
      EchoMessage reply;
      call(request, &reply);
      if (reply.payload().size() != request.payload().size()) Die("the echo has another size");
    });
  } else {
    latency = MeasureLatency(plan, checked);
  }
  if (!settings.times_file.empty()) WriteTimes(settings.times_file, latency.times_us);
  return Format(latency);
}

template <class Api>
std::string MeasureInFlight(const ClientSettings& settings) {
  CallsInFlight<Api> calls(settings.address, settings.in_flight,
                           MakeMessage(settings.payload_bytes));
  if (settings.await_start) TellReadyAndWait();
  calls.Start();
  const Throughput throughput =
      Observe(settings.duration, settings.server, [&calls] { return calls.ended(); });
  calls.Stop();
  return absl::StrCat(Format(throughput), " made=", calls.ended());
}

template <class Api>
std::string MeasureStream(const ClientSettings& settings) {
  const auto stub = Api::Service::NewStub(Api::Connect(settings.address, false));
  StreamInFlight<Api> stream(stub.get(), MakeMessage(settings.payload_bytes));
  const Throughput throughput =
      Observe(settings.duration, settings.server, [&stream] { return stream.messages(); });
  stream.Stop();
  return Format(throughput);
}

template <class Api>
std::string MeasureStreamReader(const ClientSettings& settings) {
  const auto stub = Api::Service::NewStub(Api::Connect(settings.address, false));
  const EchoMessage request = MakeMessage(settings.payload_bytes);
  typename Api::ClientContext context;
  const auto reader = settings.method == "DownloadHinted" ? stub->DownloadHinted(&context, request)
                                                          : stub->Download(&context, request);
  std::atomic<uint64_t> messages{0};
  std::thread thread([&] {
    EchoMessage message;
    while (reader->Read(&message)) {
      if (message.payload() != request.payload()) Die("a message differs from the request");
      messages.store(messages.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  });
  const Throughput throughput = Observe(settings.duration, settings.server, [&messages] {
    return messages.load(std::memory_order_relaxed);
  });
  context.TryCancel();
  thread.join();
  (void)reader->Finish();
  return Format(throughput);
}

template <class Api>
std::string MeasureSetup(const ClientSettings& settings) {
  const EchoMessage request = MakeMessage(settings.payload_bytes);
  EchoMessage reply;
  FindCall<Api>(settings, false)(request, &reply);
  std::vector<double> times_us;
  for (int i = 0; i < settings.calls; ++i) {
    const absl::Time begin = absl::Now();
    const EchoCall call = FindCall<Api>(settings, false);
    call(request, &reply);
    times_us.push_back(absl::ToDoubleMicroseconds(absl::Now() - begin));
  }
  return FormatTimes(std::move(times_us));
}

// Channels, each of which has made a call.
template <class Api>
std::vector<EchoCall> MakeChannels(const ClientSettings& settings, const EchoMessage& request) {
  std::vector<EchoCall> calls;
  EchoMessage reply;
  for (int i = 0; i < settings.calls; ++i) {
    calls.push_back(FindCall<Api>(settings, false));
    calls.back()(request, &reply);
  }
  return calls;
}

template <class Api>
std::string MeasureFirstCalls(const ClientSettings& settings) {
  const EchoMessage request = MakeMessage(settings.payload_bytes);
  const std::vector<EchoCall> calls = MakeChannels<Api>(settings, request);
  absl::SleepFor(settings.pause);
  std::vector<double> times_us;
  for (const EchoCall& call : calls) {
    absl::SleepFor(absl::Milliseconds(5));  // (what the one before has woken sleeps again)
    EchoMessage reply;
    const absl::Time begin = absl::Now();
    call(request, &reply);
    times_us.push_back(absl::ToDoubleMicroseconds(absl::Now() - begin));
  }
  return FormatTimes(std::move(times_us));
}

template <class Api>
std::string KeepIdleChannels(const ClientSettings& settings) {
  const auto calls = MakeChannels<Api>(settings, MakeMessage(settings.payload_bytes));
  TellReadyAndWait();
  return absl::StrCat("channels=", calls.size());
}

// A client's main().
template <class Api>
int ClientMain(int argc, char** argv) {
  const ClientSettings settings = ParseClientSettings(argc, argv);
  const std::pair<const char*, std::string (*)(const ClientSettings&)> modes[] = {
      {"latency", MeasureCalls<Api>},       {"large", MeasureCalls<Api>},
      {"rate_blocking", MeasureCalls<Api>}, {"rate_async", MeasureInFlight<Api>},
      {"stream", MeasureStream<Api>},       {"stream_reader", MeasureStreamReader<Api>},
      {"setup", MeasureSetup<Api>},         {"first_call", MeasureFirstCalls<Api>},
      {"idle", KeepIdleChannels<Api>},
  };
  for (const auto& [name, measure] : modes) {
    if (settings.mode != name) continue;
    PrintResults(measure(settings));
    return 0;
  }
  const std::string results = Api::OtherMode(settings);
  if (results.empty()) Die(absl::StrCat("there is no mode ", settings.mode));
  PrintResults(results);
  return 0;
}

}  // namespace spoolrpc::benchmarks

#endif  // SPOOLRPC_BENCHMARKS_CLIENT_H_
