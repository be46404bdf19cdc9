// Web servers on the loopback address for tests: nginx with pages, and one that says what the test
// says.
#ifndef SPOOLRPC_TESTS_EXAMPLES_WEB_SERVER_H_
#define SPOOLRPC_TESTS_EXAMPLES_WEB_SERVER_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/examples/program.h"

namespace spoolrpc::testing {

// Debian's nginx, as this user, with all its files under `directory`. Beside the files of pages()
// it has:
//   /echo      method, path with query, and the headers X-Test and Authorization, a line each
//   /body      the request's body, if it is one line
//   /slow      zeros.bin of pages() at 1 KiB a second
//   /to/PATH   redirects (302) to http://127.0.0.1:PORT/PATH
//   /away/PATH redirects (302) to http://localhost:PORT/PATH
//   /loop      redirects to itself
//   /to-file   redirects to file:///etc/passwd
class Nginx {
 public:
  // Serves once it returns. A failure ends the test program.
  explicit Nginx(const std::string& directory);

  int port() const { return port_; }
  // "http://127.0.0.1:PORT" + `path`.
  std::string Url(absl::string_view path) const;
  // Where the pages are.
  std::string pages() const { return directory_ + "/pages"; }
  // A line for each request that has ended: "METHOD URI STATUS BYTES".
  std::string Log() const { return ReadWholeFile(directory_ + "/access.log"); }

 private:
  const std::string directory_;
  int port_ = 0;
  std::unique_ptr<Program> process_;
};

// Listens, and answers by hand.
class RawServer {
 public:
  RawServer();
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  int port() const { return port_; }
  std::string Url(absl::string_view path) const;
  // Takes the next connection and reads the head of its request; empty if none comes for long.
  std::string AwaitRequest();
  // On the connection taken last. False if the other side has gone.
  bool Send(absl::string_view bytes);
  void Close();
  // True once the other side has closed; false if it does not for long.
  bool AwaitClosed();

 private:
  int listener_ = -1;
  int connection_ = -1;
  int port_ = 0;
};

}  // namespace spoolrpc::testing

#endif  // SPOOLRPC_TESTS_EXAMPLES_WEB_SERVER_H_
