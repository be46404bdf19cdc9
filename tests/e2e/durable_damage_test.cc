// Files of durable calls that somebody has damaged before a server looks: each call gets a clear
// status, and the others go on.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/e2e/fixture.h"

namespace spoolrpc::e2e {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

class DurableDamageTest : public BothTransports {
 protected:
  DurableDamageTest() : stub_(Probe::NewStub(Connect())) {}

  Ticket Submit() {
    auto ticket = stub_->durable()->Echo(Say("hello"));
    EXPECT_OK(ticket);
    return ticket.ok() ? *ticket : Ticket();
  }
  std::string PathOf(const Ticket& ticket, const std::string& name) const {
    return absl::StrCat(spool(), "/durable/", ticket.ToString(), "/", name);
  }
  // A file that is none of a spool's.
  void Spoil(const Ticket& ticket, const std::string& name, const std::string& bytes = "nonsense") {
    std::ofstream(PathOf(ticket, name), std::ios::trunc) << bytes;
  }
  absl::Status Collect(const Ticket& ticket) {
    return stub_->durable()->Collect<Text>(ticket, kLong).status();
  }
  void ExpectDamaged(const Ticket& ticket, const std::string& name) {
    const absl::Status status = Collect(ticket);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss,
                                 HasSubstr(absl::StrCat(ticket.ToString(), "/", name))));
    EXPECT_EQ(ReasonOf(status), ErrorInfo::SESSION_CORRUPT);
    EXPECT_OK(stub_->durable()->Delete(ticket));
  }

  ProbeService service_;
  const std::unique_ptr<Probe::Stub> stub_;
};
SPOOLRPC_BOTH_TRANSPORTS(DurableDamageTest);

TEST_P(DurableDamageTest, EachIsToldAndTheOthersGoOn) {
  const Ticket call = Submit();
  Spoil(call, "call");
  const Ticket empty_call = Submit();
  Spoil(empty_call, "call", "");
  const Ticket no_file = Submit();
  ASSERT_EQ(unlink(PathOf(no_file, "call").c_str()), 0);
  ASSERT_EQ(mkdir(PathOf(no_file, "call").c_str(), 0700), 0);
  const Ticket claim = Submit();
  Spoil(claim, "claim.1");
  const Ticket claim_directory = Submit();
  ASSERT_EQ(mkdir(PathOf(claim_directory, "claim.1").c_str(), 0700), 0);
  const Ticket started = Submit();
  Spoil(started, "started");
  const Ticket reply = Submit();
  Spoil(reply, "reply");
  const Ticket strange = Submit();
  for (const char* name : {"claim.", "claim.0", "claim.01", "claim.99999999999999999999", "claim.x",
                           "more", ".nfs0123"}) {
    Spoil(strange, name);
  }
  const Ticket dangling = Submit();
  ASSERT_EQ(symlink("/nowhere", PathOf(dangling, "claim.1").c_str()), 0);
  // Beside the calls.
  ASSERT_EQ(mkdir((spool() + "/durable/stranger").c_str(), 0700), 0);
  std::ofstream(spool() + "/durable/" + std::string(32, 'a')) << "a file where a call belongs";

  const auto server = Serve(&service_);
  ExpectDamaged(call, "call");
  ExpectDamaged(empty_call, "call");
  ExpectDamaged(no_file, "call");
  // A claim only says who works on it.
  EXPECT_OK(Collect(claim));
  EXPECT_OK(Collect(claim_directory));
  EXPECT_OK(Collect(dangling));
  EXPECT_OK(Collect(strange));
  // Whoever had started it may have executed it.
  const absl::Status status = Collect(started);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("started")));
  ASSERT_TRUE(GetErrorInfo(status).has_value());
  EXPECT_TRUE(GetErrorInfo(status)->may_have_executed());
  ExpectDamaged(reply, "reply");
  EXPECT_OK(Collect(Submit())) << "and everything goes on";
}

TEST_P(DurableDamageTest, ASubmissionWhereADirectoryBelongsFailsWithThePath) {
  ASSERT_OK(Probe::NewStub(Connect())->durable()->Echo(Say("makes the spool")));
  ASSERT_EQ(rename((spool() + "/durable").c_str(), (spool() + "/elsewhere").c_str()), 0);
  std::ofstream(spool() + "/durable") << "a file";
  const absl::Status status = stub_->durable()->Echo(Say("")).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(spool() + "/durable"));
  ASSERT_TRUE(GetErrorInfo(status).has_value());
  EXPECT_FALSE(GetErrorInfo(status)->may_have_executed());
}

}  // namespace
}  // namespace spoolrpc::e2e
