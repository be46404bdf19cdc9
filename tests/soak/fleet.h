// The processes of a soak: clients and servers that come, are killed or end in order, and are
// replaced, over one spool.
#ifndef SPOOLRPC_TESTS_SOAK_FLEET_H_
#define SPOOLRPC_TESTS_SOAK_FLEET_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/failure/process.h"
#include "tests/soak/usage.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::soak {

struct FleetOptions {
  int clients = 8;
  int servers = 2;
  // Of all clients together, as far as the machine goes.
  int calls_per_second = 200;
  // So many percent of the clients, and of the servers that are replaced, are killed; the others
  // end in order.
  int kill_percent = 40;
  // So many percent of the channels, and of the servers, as on a network file system.
  int network_percent = 20;
  absl::Duration client_life = absl::Seconds(10);  // the mean
  absl::Duration server_life = absl::Seconds(10);
  absl::Duration slack = absl::Seconds(10);  // see OpenCalls
  std::string directory;                     // for the spool; empty: the test's own
  std::string errors;                        // a directory for what the processes say on stderr
};

// Not thread-safe: belongs to the test's first thread. Failures are the test's, as they are found.
// One server and one client live as long as the fleet; of each the usage is sampled.
class Fleet {
 public:
  Fleet(const FleetOptions& options, uint64_t seed);

  // One client comes and goes, so that it is known what is left of one; then all others are
  // started.
  void Start();
  // Does what is due: replaces who has ended, kills who is to be killed. To be called all the time.
  void Step();
  // All clients and all servers but the first end in order.
  void Stop();
  // What must not be afterwards: files of the spool that nobody needs, descriptors of the server
  // that is left, growth, broken promises in the ledger. Ends the last server.
  void CheckRemains();

  // A line for people.
  std::string Progress() const;
  // Of all calls the one that ended latest, as OpenCalls says it.
  const std::string& latest() const { return latest_; }
  // How often what happened, by its name: kinds of ends of calls, and of processes.
  const std::map<std::string, int64_t>& counts() const { return counts_; }

 private:
  struct Member {
    std::string name;
    std::unique_ptr<failure::Process> process;
    std::string errors;                          // the file
    absl::Time end_at = absl::InfiniteFuture();  // by then it is killed, or told to end
    bool kill = false;
    absl::Time gone_at = absl::InfiniteFuture();  // by then it must have ended
    bool killed = false;
    bool ready = false;
  };

  Member StartServer();
  Member StartClient(absl::Duration life);
  absl::Duration DrawLife(absl::Duration mean);
  // Takes what it printed.
  void TakeLines(Member* member);
  void TakeLine(Member* member, absl::string_view line);
  // For messages.
  std::string ServerName(pid_t pid) const;
  // Looks at one that has ended.
  void Bury(Member* member);
  void Kill(Member* member);
  // True if it has ended, and was looked at; fails if it should have.
  bool TakeEnded(Member* member);
  void AwaitEnd(Member* member);
  void Sample();
  // Paths in the spool, without the servers' logs.
  std::set<std::string> Files() const;
  void CheckLogs() const;

  const FleetOptions options_;
  const testing::ScratchDirectory scratch_;
  const std::string spool_;
  const std::string ledger_;
  std::mt19937_64 random_;
  int number_ = 0;  // of the last process
  std::set<std::string> files_of_one_;
  Usage usage_of_one_;
  std::optional<Member> first_server_;
  std::optional<Member> first_client_;
  std::vector<Member> servers_;   // the others
  std::vector<Member> draining_;  // servers that were replaced
  std::vector<Member> clients_;   // the others
  std::set<pid_t> killed_servers_;
  absl::Time next_sample_;
  Growth server_growth_;
  Growth client_growth_;
  std::map<std::string, int64_t> counts_;
  int64_t latest_ms_ = 0;
  std::string latest_;
};

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_FLEET_H_
