// What the tests of hostile files and clients share: a server that must serve an honest client,
// whatever was done to it, and need no more memory and descriptors than before.
#ifndef SPOOLRPC_TESTS_E2E_HOSTILE_FIXTURE_H_
#define SPOOLRPC_TESTS_E2E_HOSTILE_FIXTURE_H_

#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/e2e/fixture.h"
#include "tests/e2e/raw_session.h"

namespace spoolrpc::e2e {

class HostileTest : public BothTransports {
 protected:
  void SetUp() override {
    service_.handler = [this](ServerContext*, const Text* request, Text* reply) {
      ++executed_;
      reply->set_data(std::string(request->number(), 'r'));
      return absl::OkStatus();
    };
    server_ = Serve(&service_, [this](ServerBuilder* builder) {
      builder->set_lease_term(term_);
      builder->set_log_capacity(65536);
      builder->set_metrics(&metrics_);
    });
    stub_ = Probe::NewStub(Connect());
    ExpectOthersAreServed();
  }
  void TearDown() override { ExpectOthersAreServed(); }

  // Both a session that was there before and a new one.
  void ExpectOthersAreServed() {
    const auto fresh = Probe::NewStub(Connect());
    for (Probe::Stub* const stub : {stub_.get(), fresh.get()}) {
      ClientContext context;
      Text reply;
      EXPECT_OK(stub->Echo(&context, Say("well"), &reply));
      EXPECT_EQ(reply.text(), "well");
    }
  }
  std::unique_ptr<RawSession> Accepted() {
    auto session = std::make_unique<RawSession>(spool(), GetParam());
    session->Publish();
    EXPECT_EQ(session->AwaitVerdict().verdict(), spool::VerdictRecord::ACCEPTED);
    return session;
  }
  std::string server_directory() const {
    const auto status = QuerySpool(spool());
    EXPECT_OK(status);
    EXPECT_EQ(status->servers.size(), 1);
    return absl::StrCat(spool(), "/servers/", status->servers.front().id);
  }
  // Tells the server that there is a session of that name.
  void Announce(const std::string& name) const { Announce(name, server_directory()); }
  static void Announce(const std::string& name, const std::string& server) {
    EXPECT_OK(os::WriteNewFile(os::SystemCalls::Real(), absl::StrCat(server, "/inbox/", name, ".1"),
                               "", 0600, false));
  }
  static wire::CallHeader Header(const std::string& method) {
    wire::CallHeader header;
    header.set_method_id(1);
    header.set_method(method);
    return header;
  }
  static size_t Descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  }
  // Of this process, in bytes: what it has in memory now.
  static size_t Memory() {
    size_t total = 0;
    size_t resident = 0;
    FILE* const file = fopen("/proc/self/statm", "re");
    EXPECT_EQ(fscanf(file, "%zu %zu", &total, &resident), 2);  // NOLINT(cert-err34-c)
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
  }

  absl::Duration term_ = absl::Seconds(10);
  std::atomic<int> executed_{0};
  metrics::Registry metrics_{metrics::Role::kServer};
  ProbeService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Probe::Stub> stub_;
};

}  // namespace spoolrpc::e2e

#endif  // SPOOLRPC_TESTS_E2E_HOSTILE_FIXTURE_H_
