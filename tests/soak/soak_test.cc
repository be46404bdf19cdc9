// Clients with random cancellations, deadlines and kills: every call ends within its bound, as the
// rules allow and with the right bytes, nothing is executed twice, and nothing is left behind,
// neither in memory nor in the spool. Twenty seconds and a few clients by default;
// tests/soak/soak.sh gives more of both, and sanitizers.

#include <stdlib.h>

#include <iostream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/soak/fleet.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/seed.h"

ABSL_FLAG(absl::Duration, duration, absl::Seconds(20), "how long clients come and go");
ABSL_FLAG(int, clients, 8, "processes at a time");
ABSL_FLAG(int, servers, 2, "at a time; one of them lives throughout");
ABSL_FLAG(int, calls_per_second, 200, "of all clients together, as far as the machine goes");
ABSL_FLAG(int, kill_percent, 40, "so many percent of the clients, and of the servers, are killed");
ABSL_FLAG(int, network_percent, 20,
          "so many percent of channels and servers follow the rules of network file systems");
ABSL_FLAG(std::string, directory, "", "where the spool is made; empty: the test's own");
ABSL_FLAG(absl::Duration, slack, absl::Seconds(10),
          "how late a call may end, since the machine is not infinitely fast");

namespace spoolrpc::soak {
namespace {

TEST(SoakTest, NothingIsWrongAndNothingIsLeft) {
  const testing::ScratchDirectory scratch;
  const char* const kept = getenv("TEST_UNDECLARED_OUTPUTS_DIR");
  FleetOptions options;
  options.clients = absl::GetFlag(FLAGS_clients);
  options.servers = absl::GetFlag(FLAGS_servers);
  options.calls_per_second = absl::GetFlag(FLAGS_calls_per_second);
  options.kill_percent = absl::GetFlag(FLAGS_kill_percent);
  options.network_percent = absl::GetFlag(FLAGS_network_percent);
  options.directory = absl::GetFlag(FLAGS_directory);
  options.slack = absl::GetFlag(FLAGS_slack);
  options.errors = kept != nullptr ? kept : scratch / "";
  Fleet fleet(options, testing::TestSeed());
  fleet.Start();
  const absl::Time end = absl::Now() + absl::GetFlag(FLAGS_duration);
  absl::Time tell = absl::Now();
  while (absl::Now() < end && !HasFailure()) {
    fleet.Step();
    if (absl::Now() >= tell) {
      std::cout << absl::FormatDuration(end - absl::Now()) << " to go: " << fleet.Progress()
                << std::endl;
      tell = absl::Now() + absl::Seconds(10);
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  // (The rest of the fleet is killed.)
  ASSERT_FALSE(HasFailure());
  fleet.Stop();
  fleet.CheckRemains();
  std::cout << fleet.Progress() << "\nlate by ms " << fleet.latest() << std::endl;
  // Otherwise it has shown nothing.
  for (const char* const kind : {"OK", "CANCELLED?", "DEADLINE?", "dropped", "clients_ended",
                                 "clients_killed", "servers_ended"}) {
    EXPECT_TRUE(fleet.counts().count(kind) > 0) << kind;
  }
}

}  // namespace
}  // namespace spoolrpc::soak

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  absl::ParseCommandLine(argc, argv);
  return RUN_ALL_TESTS();
}
