#include "tests/examples/fetch_fixture.h"

#include <stdlib.h>

#include "absl/strings/str_cat.h"

namespace spoolrpc::testing {

FetchFixture::FetchFixture() {
  // Requests go straight to the web servers here.
  for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
    unsetenv(name);
  }
}

std::unique_ptr<Program> FetchFixture::StartServer(const std::vector<std::string>& flags) {
  std::vector<std::string> arguments = {"examples/http_fetch/fetch_server", "--spool=" + spool()};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  auto server =
      std::make_unique<Program>(scratch_.path(), absl::StrCat("server", ++programs_), arguments);
  EXPECT_TRUE(server->AwaitOutput("Server listening")) << server->Errors();
  return server;
}

std::unique_ptr<Program> FetchFixture::StartClient(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"examples/http_fetch/fetch_client", "--spool=" + spool(),
                                  // On a busy machine, too, the server is found in time.
                                  "--ack-timeout=100"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return std::make_unique<Program>(scratch_.path(), absl::StrCat("client", ++programs_), all);
}

Fetched FetchFixture::End(Program* client) {
  const auto status = client->AwaitExit();
  EXPECT_TRUE(status.has_value()) << "the client did not end: " << client->Errors();
  return {status.value_or(-1), client->Output(), client->Errors()};
}

Fetched FetchFixture::Fetch(const std::vector<std::string>& arguments) {
  return End(StartClient(arguments).get());
}

}  // namespace spoolrpc::testing
