// What a unary call asks of the file system between two mounts: on a network one, operations are
// what a call costs, to oneself and to everybody else who uses it.
//
//   tests/nodes/gluster.sh bazel-bin/benchmarks/network_operations
//   bazel-bin/benchmarks/network_operations --transport=network --node1=DIR --node2=DIR
//
// $NODE1 and $NODE2 are the mounts: the server works in one, the channel in the other; each counts
// its own system calls on files (docs/metrics.md). Prints a line for one call in flight and one for
// many, and then `ops_1=... polls_1=... ops_64=... polls_64=...`: what both sides asked of the file
// system for a call, whatever for (leases, acknowledgements, consumption), and apart from that the
// readings by which each looks whether the other has written. Default options, but for counting.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/echo.spoolrpc.pb.h"
#include "spoolrpc/spoolrpc.h"

ABSL_FLAG(std::string, node1, "", "the server's mount; empty: $NODE1");
ABSL_FLAG(std::string, node2, "", "the client's mount; empty: $NODE2");
ABSL_FLAG(std::string, transport, "auto",
          "as by the file system; \"network\": as on a network one");
ABSL_FLAG(int, calls, 500, "how many with one in flight");
ABSL_FLAG(int, in_flight, 64, "calls at once, in the second line");
ABSL_FLAG(int, calls_each, 30, "how many each of those makes");
ABSL_FLAG(double, max_writes, 0,
          "if above 0: exit with status 3 if a call takes more flushed writes of both sides, with "
          "one in flight");

namespace spoolrpc::benchmarks {
namespace {

using metrics::FileOperation;

class EchoServiceImpl final : public EchoService::Service {
  absl::Status Echo(ServerContext*, const EchoMessage* request, EchoMessage* reply) override {
    reply->set_payload(request->payload());
    return absl::OkStatus();
  }
};

struct Operations {
  double writes = 0;
  double flushes = 0;
  double reads = 0;
  double others = 0;

  // All but looks at the other side's log.
  double changes() const { return writes + flushes + others; }
};

struct Cost {
  Operations client;
  Operations server;
};

Operations Between(const metrics::FileOperationCounts& before,
                   const metrics::FileOperationCounts& after, int calls) {
  Operations operations;
  for (int i = 0; i < metrics::kFileOperations; ++i) {
    const double each = static_cast<double>(after[i] - before[i]) / calls;
    switch (static_cast<FileOperation>(i)) {
      case FileOperation::kPwrite:
        operations.writes += each;
        break;
      case FileOperation::kFdatasync:
      case FileOperation::kFsync:
        operations.flushes += each;
        break;
      case FileOperation::kPread:
        operations.reads += each;
        break;
      default:
        operations.others += each;
    }
  }
  return operations;
}

std::string Format(const Operations& operations) {
  return absl::StrFormat("%.2f writes, %.2f flushes, %.2f reads, %.2f others", operations.writes,
                         operations.flushes, operations.reads, operations.others);
}

class Measurement {
 public:
  absl::Status Start(const std::string& node1, const std::string& node2,
                     spool::Transport transport) {
    ServerBuilder builder;
    builder.set_transport(transport);
    builder.AddSpool(absl::StrCat(node1, "/operations"));
    builder.RegisterService(&service_);
    builder.set_log_level(LogLevel::kWarning);
    builder.set_metrics(&of_server_);
    auto server = builder.BuildAndStart();
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    ChannelOptions options;
    options.metrics = &of_client_;
    options.transport = transport;
    auto channel = CreateChannel(absl::StrCat(node2, "/operations"), options);
    if (!channel.ok()) return channel.status();
    stub_ = EchoService::NewStub(*channel);
    return Call(50);  // (until the session is there and both poll)
  }

  // Prints what `threads` times `each` calls cost; what one did.
  absl::StatusOr<Cost> Measure(int threads, int each) {
    const auto client_before = of_client_.FileOperations();
    const auto server_before = of_server_.FileOperations();
    const absl::Time begin = absl::Now();
    std::vector<absl::Status> statuses(threads);
    std::vector<std::thread> callers;
    for (absl::Status& status : statuses) {
      callers.emplace_back([this, &status, each] { status = Call(each); });
    }
    for (std::thread& caller : callers) caller.join();
    for (const absl::Status& status : statuses) {
      if (!status.ok()) return status;
    }
    const int calls = threads * each;
    const absl::Duration took = absl::Now() - begin;
    const Operations client = Between(client_before, of_client_.FileOperations(), calls);
    const Operations server = Between(server_before, of_server_.FileOperations(), calls);
    absl::PrintF("%d in flight, %.2f ms a call: client %s; server %s\n", threads,
                 absl::ToDoubleMilliseconds(took) / each, Format(client), Format(server));
    fflush(stdout);
    return Cost{client, server};
  }

 private:
  absl::Status Call(int count) {
    EchoMessage request, reply;
    request.set_payload(std::string(64, 'x'));
    for (int i = 0; i < count; ++i) {
      ClientContext context;
      if (absl::Status status = stub_->Echo(&context, request, &reply); !status.ok()) return status;
      if (reply.payload() != request.payload()) {
        return absl::DataLossError("the echo differs from the request");
      }
    }
    return absl::OkStatus();
  }

  // Whoever counts there ends first.
  metrics::Registry of_server_{metrics::Role::kServer};
  metrics::Registry of_client_{metrics::Role::kClient};
  EchoServiceImpl service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<EchoService::Stub> stub_;
};

// What a call costs with one in flight, and with many.
absl::StatusOr<std::pair<Cost, Cost>> MeasureBoth(const std::string& node1,
                                                  const std::string& node2,
                                                  spool::Transport transport) {
  Measurement measurement;
  absl::Status status = measurement.Start(node1, node2, transport);
  if (!status.ok()) return status;
  const auto one = measurement.Measure(1, absl::GetFlag(FLAGS_calls));
  if (!one.ok()) return one.status();
  const auto many =
      measurement.Measure(absl::GetFlag(FLAGS_in_flight), absl::GetFlag(FLAGS_calls_each));
  if (!many.ok()) return many.status();
  return std::make_pair(*one, *many);
}

std::string Summary(const Cost& cost, int in_flight) {
  return absl::StrFormat("ops_%d=%.3f polls_%d=%.3f", in_flight,
                         cost.client.changes() + cost.server.changes(), in_flight,
                         cost.client.reads + cost.server.reads);
}

std::string Node(const std::string& flag, const char* variable) {
  if (!flag.empty()) return flag;
  const char* const value = getenv(variable);
  return value == nullptr ? "" : value;
}

int Main() {
  const std::string node1 = Node(absl::GetFlag(FLAGS_node1), "NODE1");
  const std::string node2 = Node(absl::GetFlag(FLAGS_node2), "NODE2");
  if (node1.empty() || node2.empty()) {
    fprintf(stderr,
            "network_operations: NODE1 and NODE2 must name two mounts of one file system: run it "
            "by tests/nodes/gluster.sh or tests/nodes/nfs.sh\n");
    return 64;
  }
  const std::string transport = absl::GetFlag(FLAGS_transport);
  if (transport != "auto" && transport != "network") {
    fprintf(stderr, "network_operations: --transport is auto or network\n");
    return 64;
  }
  const auto costs = MeasureBoth(
      node1, node2, transport == "auto" ? spool::Transport::kAuto : spool::Transport::kNetwork);
  if (!costs.ok()) {
    fprintf(stderr, "network_operations: %s\n", costs.status().ToString().c_str());
    return 1;
  }
  absl::PrintF("%s %s\n", Summary(costs->first, 1), Summary(costs->second, 64));
  // (Who writes with O_DSYNC does not flush.)
  const double writes = costs->first.client.writes + costs->first.server.writes;
  const double limit = absl::GetFlag(FLAGS_max_writes);
  if (limit <= 0 || writes <= limit) return 0;
  fprintf(stderr, "network_operations: %.2f flushed writes a call, more than %.2f\n", writes,
          limit);
  return 3;
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Counts what a call asks of the file system between two mounts.");
  absl::ParseCommandLine(argc, argv);
  return spoolrpc::benchmarks::Main();
}
