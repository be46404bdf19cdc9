// `spoolrpc ticket` on calls that nobody has served yet, and with a real server.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "spoolrpc/spool/durable_store.h"
#include "spoolrpc/status.pb.h"
#include "tests/cli/programs.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TicketTest : public ::testing::Test {
 protected:
  TicketTest()
      : store_(
            *spool::DurableStore::OpenSpool(os::Environment{}, spool_, spool::Transport::kAuto)) {}

  // A call of the greeter, with a name of this length.
  std::string Submit(int length = 5) {
    spool::DurableCallRecord record;
    record.set_ticket(store_.NewTicket());
    record.mutable_header()->set_method("/helloworld.Greeter/SayHello");
    record.set_reply_type("helloworld.HelloReply");
    bool published = false;
    EXPECT_OK(store_.Submit(
        record,
        absl::StrCat("\n", std::string(1, static_cast<char>(length)), std::string(length, 'w')),
        &published));
    return spool::IdName(record.ticket());
  }
  Outcome Ticket(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "ticket");
    arguments.push_back("--spool=" + spool_);
    return RunProgram(scratch_.path(), kSpoolrpc, arguments);
  }
  TicketDocument Show(const std::string& ticket) {
    const Outcome outcome = Ticket({"show", ticket, "--json"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    TicketDocument document;
    const auto parsed = google::protobuf::util::JsonStringToMessage(outcome.out, &document);
    EXPECT_TRUE(parsed.ok()) << parsed.ToString() << "\n" << outcome.out;
    return document;
  }

  const testing::ScratchDirectory scratch_;
  const std::string spool_ = scratch_ / "spool";
  const spool::DurableStore store_;
};

TEST_F(TicketTest, ACallThatWaits) {
  const std::string ticket = Submit();
  const TicketDocument document = Show(ticket);
  EXPECT_EQ(document.ticket(), ticket);
  EXPECT_EQ(document.state(), "waiting");
  EXPECT_EQ(document.method(), "/helloworld.Greeter/SayHello");
  EXPECT_EQ(document.request_bytes(), 7);
  EXPECT_EQ(document.code(), "");
  EXPECT_THAT(Ticket({"show", ticket}).out,
              AllOf(HasSubstr("state       waiting\n"), HasSubstr("7 bytes")));
  Outcome outcome = Ticket({"collect", ticket});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, HasSubstr("has no reply yet"));
  outcome = Ticket({"wait", ticket, "--timeout=10ms"});
  EXPECT_EQ(outcome.status, 1);
}

TEST_F(TicketTest, ServedCollectedAndDeleted) {
  const std::string ticket = Submit();
  const auto server = StartGreeter(scratch_.path(), spool_);
  Outcome outcome = Ticket({"wait", ticket, "--timeout=60s"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  outcome = Ticket({"collect", ticket});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("1: \"Hello wwwww\""));
  EXPECT_EQ(Ticket({"collect", ticket, "--raw"}).out, "\n\x0bHello wwwww");
  const TicketDocument document = Show(ticket);
  EXPECT_EQ(document.state(), "finished");
  EXPECT_EQ(document.code(), "OK");
  EXPECT_EQ(document.server_pid(), server->pid());
  EXPECT_EQ(document.server_life(), "alive");
  EXPECT_EQ(Ticket({"cancel", ticket}).status, 1) << "it has ended otherwise";
  EXPECT_EQ(Ticket({"delete", ticket}).status, 0);
  outcome = Ticket({"show", ticket});
  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.err, HasSubstr(ticket));
  EXPECT_EQ(Ticket({"delete", ticket}).status, 3);
  EXPECT_EQ(Ticket({"wait", ticket}).status, 3);
}

TEST_F(TicketTest, Cancelled) {
  const std::string ticket = Submit();
  EXPECT_EQ(Ticket({"cancel", ticket}).status, 0);
  const Outcome outcome = Ticket({"collect", ticket});
  EXPECT_EQ(outcome.status, 4);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("CANCELLED"), HasSubstr("was not executed")));
  EXPECT_EQ(Ticket({"wait", ticket}).status, 4);
  EXPECT_FALSE(Show(ticket).may_have_executed());
}

TEST_F(TicketTest, AListHasAllInOrderAndSaysWhatIsDamaged) {
  EXPECT_EQ(Ticket({"list"}).status, 0);
  const std::string first = Submit();
  const std::string second = Submit();
  Outcome outcome = Ticket({"list"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_LT(outcome.out.find(first), outcome.out.find(second));
  TicketListDocument document;
  outcome = Ticket({"list", "--json"});
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(outcome.out, &document).ok());
  ASSERT_EQ(document.tickets_size(), 2);
  EXPECT_EQ(document.tickets(1).ticket(), second);
  WriteFile(absl::StrCat(spool_, "/durable/", first, "/call"), "nothing of the kind");
  outcome = Ticket({"list"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat(first, "  damaged")));
  EXPECT_EQ(Ticket({"show", first}).status, 1);
}

TEST_F(TicketTest, RetentionIsShownAndSet) {
  EXPECT_THAT(Ticket({"retention"}).out, HasSubstr("30d"));
  const Outcome outcome = Ticket({"retention", "--max_age=2h", "--max_finished=10"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "age       at most 2h 00m\nfinished  at most 10\n");
  EXPECT_EQ(Ticket({"retention"}).out, outcome.out);
  EXPECT_EQ(Ticket({"retention", "--max_age"}).out, "age       any\nfinished  at most 10\n");
}

TEST_F(TicketTest, WrongUsageSaysWhatIsRight) {
  EXPECT_EQ(Ticket({}).status, 2);
  EXPECT_EQ(Ticket({"show"}).status, 2);
  EXPECT_EQ(Ticket({"list", std::string(32, 'a')}).status, 2);
  EXPECT_EQ(Ticket({"bake", std::string(32, 'a')}).status, 2);
  const Outcome outcome = Ticket({"show", "abc"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("32 hex digits"));
  EXPECT_EQ(Ticket({"show", std::string(32, 'a')}).status, 3);
}

}  // namespace
}  // namespace spoolrpc::cli
