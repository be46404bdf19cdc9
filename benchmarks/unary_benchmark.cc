// The first benchmark: a unary call on one host beside gRPC over a Unix socket, and beside the
// floor.
//
// For each directory, starts a SpoolRPC and a gRPC server, and then in every round, one contender
// after another: round trips with one call in flight, and calls a second of 64 threads with
// blocking stubs on one channel. So whatever else the machine does in the meantime hits all of
// them. What counts is each number's median over the rounds. Prints a table, and then one JSON
// object a line for each file system. docs/performance.md says more.

#include <stdio.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "benchmarks/programs.h"
#include "spoolrpc/os/file_system_type.h"
#include "spoolrpc/os/system_calls.h"

ABSL_FLAG(std::vector<std::string>, directories, std::vector<std::string>({"/dev/shm", "/tmp"}),
          "where to measure: each in a new directory below; the last one's line is the last");
ABSL_FLAG(int, rounds, 9, "how often each contender has its turn");
ABSL_FLAG(int, calls, 20000, "timed calls of a turn with one call in flight");
ABSL_FLAG(int, warmup, 2000, "calls before those");
ABSL_FLAG(int, threads, 64, "threads that call at once, for the rate");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(1), "how long a turn measures the rate");
ABSL_FLAG(bool, quick, false, "a few seconds in all: 5 rounds of 2000 calls and a rate of 0.2 s");
ABSL_FLAG(double, max_vs_grpc, 0,
          "if above 0: exit with status 3 if the median round trip takes more than this part of "
          "gRPC's on any file system");

namespace spoolrpc::benchmarks {
namespace {

struct Settings {
  int rounds;
  int calls;
  int warmup;
  int threads;
  absl::Duration duration;
};

// One who is measured: the words before the flags that say what to measure.
struct Contender {
  std::string name;
  std::vector<std::string> command;
  bool threads;  // does a rate by threads; the floor has none, and counts messages in flight
};

// Of one contender: medians over the rounds, by name (p50_us, p99_us, mean_us, rate).
using Medians = std::map<std::string, std::map<std::string, double>>;

class Programs {
 public:
  absl::Status Find() {
    for (const char* name : {"echo_spool_server", "echo_spool_client", "echo_grpc_server",
                             "echo_grpc_client", "echo_floor"}) {
      const auto path = Sibling(name);
      if (!path.ok()) return path.status();
      paths_[name] = *path;
    }
    return absl::OkStatus();
  }
  const std::string& operator[](const std::string& name) const { return paths_.at(name); }

 private:
  std::map<std::string, std::string> paths_;
};

absl::StatusOr<Medians> Measure(const std::vector<Contender>& contenders,
                                const Settings& settings) {
  std::map<std::string, std::map<std::string, std::vector<double>>> values;
  for (int round = 0; round < settings.rounds; ++round) {
    for (const bool rate : {false, true}) {
      for (size_t i = 0; i < contenders.size(); ++i) {
        // Nobody always comes after the same one.
        const Contender& contender = contenders[(i + round) % contenders.size()];
        std::vector<std::string> command = contender.command;
        if (rate) {
          command.push_back(
              absl::StrCat(contender.threads ? "--threads=" : "--depth=", settings.threads));
          command.push_back(absl::StrCat("--duration=", absl::FormatDuration(settings.duration)));
        } else {
          command.push_back(absl::StrCat("--calls=", settings.calls));
          command.push_back(absl::StrCat("--warmup=", settings.warmup));
        }
        const auto results = RunProgram(command);
        if (!results.ok()) return results.status();
        for (const auto& [name, value] : *results) values[contender.name][name].push_back(value);
      }
    }
    fprintf(stderr, ".");
  }
  Medians medians;
  for (auto& [contender, numbers] : values) {
    for (auto& [name, all] : numbers) medians[contender][name] = Median(std::move(all));
  }
  return medians;
}

absl::StatusOr<Medians> MeasureIn(const Programs& programs, const std::string& directory,
                                  const Settings& settings) {
  const std::string spool = absl::StrCat(directory, "/spool");
  const std::string socket = absl::StrCat(directory, "/socket");
  const auto ours =
      RunningServer::Start({programs["echo_spool_server"], absl::StrCat("--address=", spool)});
  if (!ours.ok()) return ours.status();
  const auto grpc =
      RunningServer::Start({programs["echo_grpc_server"], absl::StrCat("--address=", socket)});
  if (!grpc.ok()) return grpc.status();
  return Measure({{"spoolrpc",
                   {programs["echo_spool_client"], absl::StrCat("--address=", spool)},
                   /*threads=*/true},
                  {"grpc",
                   {programs["echo_grpc_client"], absl::StrCat("--address=", socket)},
                   /*threads=*/true},
                  {"floor",
                   {programs["echo_floor"], absl::StrCat("--directory=", directory)},
                   /*threads=*/false}},
                 settings);
}

void PrintTable(const std::string& title, Medians medians, int threads) {
  absl::PrintF("\n%s: medians over the rounds\n", title);
  absl::PrintF("%-10s %10s %10s %14s   %s\n", "", "p50 us", "p99 us",
               absl::StrCat("calls/s of ", threads), "p50 against gRPC, floor");
  const double grpc = medians["grpc"]["p50_us"];
  const double floor = medians["floor"]["p50_us"];
  for (const char* name : {"spoolrpc", "grpc", "floor"}) {
    std::map<std::string, double>& numbers = medians[name];
    absl::PrintF("%-10s %10.2f %10.2f %14.0f   %.3f  %.2f\n", name, numbers["p50_us"],
                 numbers["p99_us"], numbers["rate"], numbers["p50_us"] / grpc,
                 numbers["p50_us"] / floor);
  }
  fflush(stdout);
}

std::string Json(const std::string& fs, Medians medians, const Settings& settings) {
  std::map<std::string, double>& ours = medians["spoolrpc"];
  std::map<std::string, double>& grpc = medians["grpc"];
  std::map<std::string, double>& floor = medians["floor"];
  std::string json = absl::StrFormat("{\"benchmark\": \"unary\", \"fs\": \"%s\"", fs);
  const auto add = [&json](const char* key, double value) {
    absl::StrAppendFormat(&json, ", \"%s\": %.6g", key, value);
  };
  add("unary_p50_us", ours["p50_us"]);
  add("unary_p99_us", ours["p99_us"]);
  add("unary_p50_vs_grpc", ours["p50_us"] / grpc["p50_us"]);
  add("unary_p50_vs_floor", ours["p50_us"] / floor["p50_us"]);
  add("unary_p99_vs_grpc", ours["p99_us"] / grpc["p99_us"]);
  add("rate64_blocking", ours["rate"]);
  add("rate64_blocking_vs_grpc", ours["rate"] / grpc["rate"]);
  add("grpc_p50_us", grpc["p50_us"]);
  add("grpc_p99_us", grpc["p99_us"]);
  add("grpc_rate64_blocking", grpc["rate"]);
  add("floor_p50_us", floor["p50_us"]);
  add("floor_p99_us", floor["p99_us"]);
  add("floor_rate64", floor["rate"]);
  add("rounds", settings.rounds);
  add("calls", settings.calls);
  add("threads", settings.threads);
  add("cpus", static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN)));
  return json + "}";
}

int Fail(const absl::Status& status) {
  fprintf(stderr, "unary_benchmark: %s\n", status.ToString().c_str());
  return 1;
}

int Main() {
  Settings settings = {absl::GetFlag(FLAGS_rounds), absl::GetFlag(FLAGS_calls),
                       absl::GetFlag(FLAGS_warmup), absl::GetFlag(FLAGS_threads),
                       absl::GetFlag(FLAGS_duration)};
  if (absl::GetFlag(FLAGS_quick)) {
    settings = {5, 2000, 500, settings.threads, absl::Milliseconds(200)};
  }
  if (settings.rounds < 1 || settings.calls < 1 || settings.threads < 2) {
    return Fail(absl::InvalidArgumentError("--rounds, --calls and --threads: too small"));
  }
  Programs programs;
  if (const absl::Status found = programs.Find(); !found.ok()) return Fail(found);
  const double limit = absl::GetFlag(FLAGS_max_vs_grpc);
  bool within = true;
  std::vector<std::string> lines;
  for (const std::string& parent : absl::GetFlag(FLAGS_directories)) {
    const auto fs = os::DescribeFileSystem(os::SystemCalls::Real(), parent);
    if (!fs.ok()) return Fail(fs.status());
    const auto directory = TemporaryDirectory::Create(parent);
    if (!directory.ok()) return Fail(directory.status());
    const auto medians = MeasureIn(programs, (*directory)->path(), settings);
    fprintf(stderr, "\n");
    if (!medians.ok()) return Fail(medians.status());
    PrintTable(absl::StrCat(fs->name, " (", parent, ")"), *medians, settings.threads);
    lines.push_back(Json(fs->name, *medians, settings));
    const double ratio = medians->at("spoolrpc").at("p50_us") / medians->at("grpc").at("p50_us");
    within = within && ratio <= limit;
  }
  printf("\n");
  for (const std::string& line : lines) printf("%s\n", line.c_str());
  return limit > 0 && !within ? 3 : 0;
}

}  // namespace
}  // namespace spoolrpc::benchmarks

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("Measures unary calls on one host beside gRPC and the floor.");
  absl::ParseCommandLine(argc, argv);
  return spoolrpc::benchmarks::Main();
}
