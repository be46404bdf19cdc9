#include "benchmarks/server.h"

#include "benchmarks/client_settings.h"

namespace spoolrpc::benchmarks {

int ServerMain(int argc, char** argv, std::shared_ptr<void> (*start)(const std::string& address)) {
  const std::shared_ptr<void> server = start(ParseClientSettings(argc, argv).address);
  PrintResults("ready");
  AwaitEndOfInput();
  return 0;
}

}  // namespace spoolrpc::benchmarks
