// A fetch_server and its clients on a spool of their own, with web servers on the loopback address.
#ifndef SPOOLRPC_TESTS_EXAMPLES_FETCH_FIXTURE_H_
#define SPOOLRPC_TESTS_EXAMPLES_FETCH_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/examples/program.h"
#include "tests/examples/web_server.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::testing {

// What a client process ended with.
struct Fetched {
  int exit_status = -1;  // minus the signal that ended it
  std::string output;
  std::string errors;
};

class FetchFixture : public ::testing::Test {
 protected:
  FetchFixture();

  // Returns when it serves; fails the test if it does not.
  std::unique_ptr<Program> StartServer(const std::vector<std::string>& flags);
  // One that may ask any port of 127.0.0.1 and localhost.
  std::unique_ptr<Program> StartServer() {
    return StartServer({"--allow=127.0.0.1:*,localhost:*"});
  }
  std::unique_ptr<Program> StartClient(const std::vector<std::string>& arguments);
  // Waits for its end.
  Fetched End(Program* client);
  // Starts a client and waits for its end.
  Fetched Fetch(const std::vector<std::string>& arguments);

  std::string spool() const { return scratch_ / "spool"; }

  const ScratchDirectory scratch_;

 private:
  int programs_ = 0;
};

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_EXAMPLES_FETCH_FIXTURE_H_
