// What a unary call asks of the file system between two mounts: on a network one, operations are
// what a call costs, to oneself and to everybody else who uses it.
//
//   tests/nodes/gluster.sh bazel-bin/benchmarks/network_operations
//
// $NODE1 and $NODE2 are the mounts: the server works in one, the channel in the other; each counts
// its own system calls on files (docs/metrics.md). Prints a line for one call in flight and one for
// many. Default options, but for counting.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <thread>
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
  absl::Status Start(const std::string& node1, const std::string& node2) {
    ServerBuilder builder;
    builder.AddSpool(absl::StrCat(node1, "/operations"));
    builder.RegisterService(&service_);
    builder.set_log_level(LogLevel::kWarning);
    builder.set_metrics(&of_server_);
    auto server = builder.BuildAndStart();
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    ChannelOptions options;
    options.metrics = &of_client_;
    auto channel = CreateChannel(absl::StrCat(node2, "/operations"), options);
    if (!channel.ok()) return channel.status();
    stub_ = EchoService::NewStub(*channel);
    return Call(50);  // (until the session is there and both poll)
  }

  // Prints what `threads` times `each` calls cost; the flushed writes of one.
  absl::StatusOr<double> Measure(int threads, int each) {
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
    // (Who writes with O_DSYNC does not flush.)
    return client.writes + server.writes;
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

// The flushed writes of a call with one in flight.
absl::StatusOr<double> MeasureBoth(const std::string& node1, const std::string& node2) {
  Measurement measurement;
  if (absl::Status status = measurement.Start(node1, node2); !status.ok()) return status;
  const auto one = measurement.Measure(1, absl::GetFlag(FLAGS_calls));
  if (!one.ok()) return one;
  const auto many =
      measurement.Measure(absl::GetFlag(FLAGS_in_flight), absl::GetFlag(FLAGS_calls_each));
  return many.ok() ? one : many;
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
  const absl::StatusOr<double> writes = MeasureBoth(node1, node2);
  if (!writes.ok()) {
    fprintf(stderr, "network_operations: %s\n", writes.status().ToString().c_str());
    return 1;
  }
  const double limit = absl::GetFlag(FLAGS_max_writes);
  if (limit <= 0 || *writes <= limit) return 0;
  fprintf(stderr, "network_operations: %.2f flushed writes a call, more than %.2f\n", *writes,
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
