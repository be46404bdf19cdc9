#include "tests/examples/web_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace spoolrpc::testing {
namespace {

constexpr char kNginx[] = "/usr/sbin/nginx";

// USER, DIRECTORY and PORT stand for themselves.
constexpr char kConfiguration[] = R"(
USER
daemon off;
master_process off;
pid DIRECTORY/nginx.pid;
error_log DIRECTORY/error.log;
events {}
http {
  log_format short '$request_method $request_uri $status $body_bytes_sent';
  access_log DIRECTORY/access.log short;
  client_body_temp_path DIRECTORY/temp_body;
  proxy_temp_path DIRECTORY/temp_proxy;
  fastcgi_temp_path DIRECTORY/temp_fastcgi;
  uwsgi_temp_path DIRECTORY/temp_uwsgi;
  scgi_temp_path DIRECTORY/temp_scgi;
  default_type text/plain;
  server {
    listen 127.0.0.1:PORT;
    root DIRECTORY/pages;
    location = /echo {
      return 200 "$request_method $request_uri\n$http_x_test\n$http_authorization\n";
    }
    location = /body {
      client_body_buffer_size 64k;
      proxy_set_header X-Body $request_body;
      proxy_pass http://127.0.0.1:PORT/body-header;
    }
    location = /body-header { return 200 "$request_method $http_x_body"; }
    location = /slow { limit_rate 1k; alias DIRECTORY/pages/zeros.bin; }
    location /to/ { rewrite ^/to(/.*)$ http://127.0.0.1:PORT$1 redirect; }
    location /away/ { rewrite ^/away(/.*)$ http://localhost:PORT$1 redirect; }
    location = /loop { return 302 /loop; }
    location = /to-file { return 302 file:///etc/passwd; }
  }
}
)";

[[noreturn]] void Die(const char* what) {
  perror(what);
  abort();
}

// A listening socket on a port of the system's choice.
int Listen(int* port) {
  const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (socket_fd < 0 || bind(socket_fd, generic, size) != 0 || listen(socket_fd, 64) != 0 ||
      getsockname(socket_fd, generic, &size) != 0) {
    Die("listen on the loopback address");
  }
  *port = ntohs(address.sin_port);
  return socket_fd;
}

std::string UrlOf(int port, absl::string_view path) {
  return absl::StrCat("http://127.0.0.1:", port, path);
}

bool AwaitReadable(int socket_fd) {
  pollfd fd = {socket_fd, POLLIN, 0};
  return poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(kLong))) == 1;
}

}  // namespace

Nginx::Nginx(const std::string& directory) : directory_(directory) {
  if (access(kNginx, X_OK) != 0) Die("/usr/sbin/nginx (install nginx-light)");
  if (mkdir(directory.c_str(), 0700) != 0 || mkdir(pages().c_str(), 0700) != 0) Die("mkdir");
  const std::string pid_file = directory + "/nginx.pid";
  const std::string error_log = directory + "/error.log";
  // Root's nginx would give its directories away, to a user whom a sandbox does not have.
  const std::string user = geteuid() == 0 ? "user root root;" : "";
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    // A port that is free now; who takes it before nginx does makes us try another one.
    close(Listen(&port_));
    WriteWholeFile(directory + "/nginx.conf",
                   absl::StrReplaceAll(
                       kConfiguration,
                       {{"USER", user}, {"DIRECTORY", directory}, {"PORT", absl::StrCat(port_)}}));
    process_ =
        std::make_unique<Program>(directory, "nginx",
                                  std::vector<std::string>{kNginx, "-p", directory, "-e", error_log,
                                                           "-c", directory + "/nginx.conf"});
    // (It writes the file when it listens.)
    Await([&] { return !ReadWholeFile(pid_file).empty() || process_->Ended(); });
    if (!process_->Ended()) return;
    if (ReadWholeFile(error_log).find("Address already in use") == std::string::npos) break;
    unlink(pid_file.c_str());
  }
  fprintf(stderr, "nginx did not start: %s%s\n", process_->Errors().c_str(),
          ReadWholeFile(error_log).c_str());
  abort();
}

std::string Nginx::Url(absl::string_view path) const { return UrlOf(port_, path); }

RawServer::RawServer() { listener_ = Listen(&port_); }

RawServer::~RawServer() {
  Close();
  close(listener_);
}

std::string RawServer::Url(absl::string_view path) const { return UrlOf(port_, path); }

std::string RawServer::AwaitRequest() {
  Close();
  if (!AwaitReadable(listener_)) return "";
  connection_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  std::string head;
  char bytes[4096];
  while (head.find("\r\n\r\n") == std::string::npos && AwaitReadable(connection_)) {
    const ssize_t got = recv(connection_, bytes, sizeof(bytes), 0);
    if (got <= 0) break;
    head.append(bytes, got);
  }
  return head;
}

bool RawServer::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(connection_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(sent);
  }
  return true;
}

void RawServer::Close() {
  if (connection_ >= 0) close(connection_);
  connection_ = -1;
}

bool RawServer::AwaitClosed() {
  char bytes[4096];
  while (AwaitReadable(connection_)) {
    if (recv(connection_, bytes, sizeof(bytes), 0) <= 0) return true;
  }
  return false;
}

}  // namespace spoolrpc::testing
