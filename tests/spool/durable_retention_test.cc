// Durable calls that nobody deletes go when their time is over, or when there are too many; those
// that somebody works on stay.
#include "spoolrpc/spool/durable_retention.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::spool {
namespace {

using ::testing::ElementsAre;
using testing::HasCode;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Kind = DurableRetention::Kind;

class DurableRetentionTest : public ::testing::Test {
 protected:
  DurableRetentionTest()
      : store_(*DurableStore::OpenSpool(os::Environment{}, scratch_ / "spool", Transport::kLocal)),
        retention_(&store_) {}

  void Set(absl::Duration max_age, uint64_t max_finished) {
    RetentionRecord record;
    if (max_age != absl::InfiniteDuration()) {
      record.set_max_age_ns(absl::ToInt64Nanoseconds(max_age));
    }
    record.set_max_finished(max_finished);
    ASSERT_OK(WriteRetention(store_, record));
  }
  std::string Submit() {
    DurableCallRecord record;
    record.set_ticket(store_.NewTicket());
    bool published = false;
    EXPECT_OK(store_.Submit(record, "", &published));
    return record.ticket();
  }
  std::string Finish() {
    const std::string ticket = Submit();
    DurableReplyRecord record;
    record.set_ticket(ticket);
    EXPECT_TRUE(*store_.Reply(record, "", false));
    return ticket;
  }
  // As if the file were so much older.
  void Age(const std::string& ticket, const char* name, absl::Duration by) {
    const std::string path = Join(store_.spool().durable_call(ticket), name);
    const timespec when = absl::ToTimespec(absl::Now() - by);
    const timespec times[2] = {when, when};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  std::vector<std::string> Sweep(Kind kind) {
    const auto deleted =
        retention_.Sweep(*store_.List(), [kind](const std::string&) { return kind; });
    EXPECT_OK(deleted);
    return deleted.ok() ? *deleted : std::vector<std::string>();
  }

  const testing::ScratchDirectory scratch_;
  const DurableStore store_;
  DurableRetention retention_;
};

TEST_F(DurableRetentionTest, TheDefaultIsThirtyDays) {
  const std::string older = Finish();
  const std::string younger = Finish();
  Age(older, kReply, absl::Hours(24 * 30 + 1));
  Age(younger, kReply, absl::Hours(24 * 30 - 1));
  EXPECT_THAT(Sweep(Kind::kFinished), ElementsAre(older));
  EXPECT_THAT(*store_.List(), ElementsAre(younger));
}

TEST_F(DurableRetentionTest, TheAgeOfAFinishedCallIsThatOfItsReply) {
  Set(absl::Hours(1), 0);
  const std::string ticket = Finish();
  Age(ticket, kCall, absl::Hours(100));
  EXPECT_THAT(Sweep(Kind::kFinished), IsEmpty());
  EXPECT_THAT(Sweep(Kind::kOther), IsEmpty()) << "whatever is known of it";
  DurableRetention fresh(&store_);
  Age(ticket, kReply, absl::Hours(2));
  const auto deleted = fresh.Sweep(*store_.List(), [](const std::string&) { return Kind::kOther; });
  EXPECT_THAT(*deleted, ElementsAre(ticket));
}

TEST_F(DurableRetentionTest, AnUnfinishedCallGoesUnlessSomebodyWorksOnIt) {
  Set(absl::Hours(1), 0);
  const std::string waiting = Submit();
  const std::string claimed = Submit();
  DurableClaimRecord claim;
  claim.set_ticket(claimed);
  claim.set_number(1);
  claim.set_server_id(std::string(16, 's'));
  *claim.mutable_process() = ProcessIdentity();  // of another host
  ASSERT_TRUE(*store_.Claim(claim));
  const std::string server = store_.spool().server(claim.server_id());
  ASSERT_OK(os::MakeDirectory(os::SystemCalls::Real(), server, 0700));
  EXPECT_THAT(Sweep(Kind::kOther), IsEmpty()) << "young";
  for (const std::string& ticket : {waiting, claimed}) Age(ticket, kCall, absl::Hours(2));
  DurableRetention fresh(&store_);
  const auto sweep = [&](Kind kind) {
    return *fresh.Sweep(*store_.List(), [kind](const std::string&) { return kind; });
  };
  EXPECT_THAT(sweep(Kind::kBusy), IsEmpty());
  EXPECT_THAT(sweep(Kind::kOther), ElementsAre(waiting));
  ASSERT_OK(os::RemoveDirectory(os::SystemCalls::Real(), server));
  EXPECT_THAT(sweep(Kind::kOther), ElementsAre(claimed)) << "its owner is gone";
}

TEST_F(DurableRetentionTest, TheOldestFinishedOnesAreTooMany) {
  Set(absl::InfiniteDuration(), 2);
  std::vector<std::string> tickets;
  for (int i = 0; i < 5; ++i) {
    tickets.push_back(Finish());
    Age(tickets.back(), kReply, absl::Hours(i == 3 ? 100 : 10 - i));
  }
  EXPECT_THAT(Sweep(Kind::kFinished), UnorderedElementsAre(tickets[3], tickets[0], tickets[1]));
  EXPECT_THAT(*store_.List(), ElementsAre(tickets[2], tickets[4]));
}

TEST_F(DurableRetentionTest, WhatIsSetCanBeSetAgainAndDamageDeletesNothing) {
  Set(absl::Hours(1), 7);
  Set(absl::Hours(2), 8);
  ASSERT_OK_AND_ASSIGN(const auto record, ReadRetention(store_.spool()));
  EXPECT_EQ(record.max_age_ns(), absl::ToInt64Nanoseconds(absl::Hours(2)));
  EXPECT_EQ(record.max_finished(), 8);
  const std::string ticket = Finish();
  Age(ticket, kReply, absl::Hours(3));
  std::ofstream(Join(store_.spool().durable(), kRetention), std::ios::app) << "x";
  EXPECT_THAT(retention_.Sweep(*store_.List(), [](const std::string&) { return Kind::kFinished; }),
              HasCode(absl::StatusCode::kDataLoss));
  EXPECT_THAT(*store_.List(), ElementsAre(ticket));
}

}  // namespace
}  // namespace spoolrpc::spool
