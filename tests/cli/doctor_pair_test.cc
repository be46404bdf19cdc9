// `spoolrpc doctor --pair` on two hosts of one process, over file systems that break what only two
// can see.
#include <errno.h>

#include <memory>
#include <string>

#include "cli/doctor/doctor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "tests/cli/doctor_fixture.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::cli::doctor {
namespace {

using testing::Call;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FaultySystemCalls;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryClientOptions;
using testing::MemoryFileSystem;

class DoctorPairTest : public ::testing::Test {
 protected:
  DoctorPairTest() { memory_.network = true; }

  // Two clients with the properties `memory_`.
  Both DiagnoseMemory(const Limits& limits) {
    MemoryFileSystem system;
    const auto first = system.NewClient(memory_);
    const auto second = system.NewClient(memory_);
    Both both = DiagnoseBoth(first.get(), second.get(), "/", limits);
    const auto left = os::ListDirectory(first.get(), "/");
    EXPECT_TRUE(left.ok());
    EXPECT_THAT(*left, IsEmpty()) << "left behind";
    return both;
  }

  MemoryClientOptions memory_;
};

TEST_F(DoctorPairTest, AGoodNetworkFileSystemWorks) {
  const Both both = DiagnoseMemory(FewRounds());
  for (const Diagnosis& one : {both.first, both.second}) {
    EXPECT_EQ(one.verdict, Verdict::kWorks) << one.ending;
    EXPECT_THAT(NamesOf(one, Result::kFail), IsEmpty());
    EXPECT_THAT(NamesOf(one, Result::kWarn), IsEmpty());
    for (const char* name :
         {"nodes", "round_trip", "read_held_direct", "flush_then_open", "names_listed",
          "names_opened", "pair_exclusive_create", "pair_exclusive_link", "pair_exclusive_mkdir",
          "pair_exclusive_rename", "other_node"}) {
      EXPECT_EQ(FindingOf(one, name).result, Result::kOk) << name;
    }
    EXPECT_EQ(FindingOf(one, "round_trip").figures["count"], 30);
    EXPECT_EQ(FindingOf(one, "read_held_direct").figures["count"], 6);
    // What nobody relies on does not come in time here: NFS's client remembers.
    EXPECT_EQ(FindingOf(one, "read_held").figures["unseen"], 6);
    EXPECT_EQ(FindingOf(one, "read_held").result, Result::kInfo);
    EXPECT_EQ(FindingOf(one, "names_in_vain").figures["unseen"], 3);
    // Both clocks are the same; what is told is within what is not known.
    Finding clock = FindingOf(one, "clock_difference");
    EXPECT_LE(std::abs(clock.figures["other_ahead_ms"]), clock.figures["uncertainty_ms"] + 1);
    EXPECT_EQ(FindingOf(one, "removed_under_reader").figure.substr(0, 6), "ESTALE");
    EXPECT_EQ(FindingOf(one, "removed_under_writer").figure, "no error");
  }
  EXPECT_THAT(FindingOf(both.first, "nodes").figure, HasSubstr("one and two"));
}

TEST_F(DoctorPairTest, StaleDirectReadsFail) {
  memory_.stale_direct_reads = true;
  Limits limits = FewRoundsAndLittlePatience();
  limits.ringing = absl::Seconds(1);
  const Both both = DiagnoseMemory(limits);
  EXPECT_THAT(NamesOf(both.first, Result::kFail), ElementsAre("other_node", "read_held_direct"));
  EXPECT_EQ(FindingOf(both.first, "read_held_direct").figures["unseen"], 6);
  EXPECT_THAT(NamesOf(both.first, Result::kWarn), ElementsAre("round_trip"));
  EXPECT_EQ(both.first.verdict, Verdict::kDoNotUse);
  EXPECT_EQ(both.second.verdict, Verdict::kDoNotUse);
}

TEST_F(DoctorPairTest, WithoutDirectReadsTheCacheDecides) {
  memory_.direct = false;
  Limits limits = FewRoundsAndLittlePatience();
  limits.ringing = absl::Seconds(1);
  const Both both = DiagnoseMemory(limits);
  EXPECT_THAT(NamesOf(both.second, Result::kFail), ElementsAre("other_node", "read_held"));
  EXPECT_EQ(both.second.verdict, Verdict::kDoNotUse);
}

TEST_F(DoctorPairTest, NamesWithSeveralWinners) {
  memory_.lax_names = true;
  const Both both = DiagnoseMemory(FewRounds());
  EXPECT_THAT(NamesOf(both.first, Result::kFail),
              ElementsAre("exclusive_create", "exclusive_link", "exclusive_mkdir", "other_node",
                          "pair_exclusive_create", "pair_exclusive_link", "pair_exclusive_mkdir"));
  EXPECT_EQ(FindingOf(both.first, "pair_exclusive_link").figures["several_won"], 10);
}

TEST_F(DoctorPairTest, ListingsThatStayOldFail) {
  memory_.stale_listings = "/names-listed";
  const Both both = DiagnoseMemory(FewRoundsAndLittlePatience());
  EXPECT_THAT(NamesOf(both.first, Result::kFail), ElementsAre("names_listed", "other_node"));
  EXPECT_EQ(FindingOf(both.first, "names_listed").figures["unseen"], 3);
  EXPECT_EQ(both.first.verdict, Verdict::kDoNotUse);
}

TEST_F(DoctorPairTest, FlushesThatAreNoneFail) {
  MemoryFileSystem system;
  const auto client = system.NewClient(memory_);
  FaultySystemCalls first(client.get());
  const auto second = system.NewClient(memory_);
  first.LoseWrites({Call::kPwrite, "/order", /*skip=*/2});
  const Both both = DiagnoseBoth(&first, second.get(), "/", FewRounds());
  EXPECT_THAT(NamesOf(both.second, Result::kFail), ElementsAre("flush_then_open"));
  EXPECT_GT(FindingOf(both.second, "flush_then_open").figures["lost"], 10);
  // The one whose writes are lost sees nothing of it, and is told.
  EXPECT_THAT(NamesOf(both.first, Result::kFail), ElementsAre("other_node"));
  EXPECT_THAT(FindingOf(both.first, "other_node").meaning, HasSubstr("flush_then_open FAIL"));
  EXPECT_EQ(both.first.verdict, Verdict::kDoNotUse);
}

TEST_F(DoctorPairTest, AnErrorOfOneSideKeepsBothInStep) {
  MemoryFileSystem system;
  const auto client = system.NewClient(memory_);
  FaultySystemCalls first(client.get());
  const auto second = system.NewClient(memory_);
  first.Fail({Call::kLink}, EOPNOTSUPP);
  const Both both = DiagnoseBoth(&first, second.get(), "/", FewRoundsAndLittlePatience());
  EXPECT_THAT(NamesOf(both.first, Result::kFail), ElementsAre("exclusive_link", "names_made"));
  EXPECT_OK(both.first.ending);
  EXPECT_OK(both.second.ending);
  EXPECT_EQ(FindingOf(both.second, "names_listed").result, Result::kInfo);
  // The other one always won.
  EXPECT_EQ(FindingOf(both.second, "pair_exclusive_link").figures["none_won"], 0);
}

TEST_F(DoctorPairTest, ALocalFileSystemOfTwoHostsWantsFlushes) {
  memory_.network = false;
  const Both both = DiagnoseMemory(FewRounds());
  EXPECT_THAT(NamesOf(both.first, Result::kWarn), ElementsAre("doorbell_shared", "other_node"));
  EXPECT_THAT(SettingsOf(both.first),
              ElementsAre("ChannelOptions::transport = spool::Transport::kNetwork",
                          "ServerBuilder::set_transport() = spool::Transport::kNetwork"));
  EXPECT_EQ(both.first.verdict, Verdict::kWorksWithSettings);
}

TEST_F(DoctorPairTest, WhoIsAloneWaitsInVain) {
  MemoryFileSystem system;
  const auto client = system.NewClient(memory_);
  Options options = Alone(client.get(), "/", FewRounds());
  options.pair = "test";
  options.timeout = absl::Milliseconds(300);
  std::string said;
  options.progress = [&](absl::string_view text) { said += std::string(text); };
  const Diagnosis diagnosis = Diagnose(options);
  EXPECT_THAT(diagnosis.ending, testing::HasCode(absl::StatusCode::kNotFound));
  EXPECT_EQ(diagnosis.verdict, Verdict::kUnknown);
  EXPECT_THAT(said, HasSubstr("waiting for the other node"));
  EXPECT_THAT(said, HasSubstr("--pair=test"));
}

TEST_F(DoctorPairTest, WhatAKilledRunLeftIsNobody) {
  const testing::ScratchDirectory scratch;
  // Another run's control file, whose writer is dead: its Hello does not change.
  const std::string dead = scratch / ".spoolrpc-doctor-test-0011223344556677";
  ASSERT_OK(os::MakeDirectory(os::SystemCalls::Real(), dead, 0700));
  ASSERT_OK(os::WriteNewFile(os::SystemCalls::Real(), dead + "/control",
                             std::string(68 * 1024, '\0'), 0600, true));
  FaultySystemCalls calls;
  const Both both = DiagnoseBoth(&calls, &calls, scratch.path(), FewRounds());
  EXPECT_OK(both.first.ending);
  EXPECT_THAT(NamesOf(both.first, Result::kOk), Contains("other_node").Times(0));
  EXPECT_EQ(both.first.verdict, Verdict::kWorksWithSettings) << both.first.ending;
}

TEST_F(DoctorPairTest, AnOtherNodeThatGivesUpIsNotWaitedFor) {
  MemoryFileSystem system;
  const auto client = system.NewClient(memory_);
  FaultySystemCalls first(client.get());
  const auto second = system.NewClient(memory_);
  // It cannot tell what it has to.
  first.Fail({Call::kPwrite, "/control", /*skip=*/12}, EIO);
  const Both both = DiagnoseBoth(&first, second.get(), "/", FewRounds());
  EXPECT_FALSE(both.first.ending.ok());
  EXPECT_THAT(both.second.ending, testing::HasCode(absl::StatusCode::kUnavailable));
  EXPECT_THAT(std::string(both.second.ending.message()), HasSubstr("has ended"));
  EXPECT_EQ(both.second.verdict, Verdict::kUnknown);
}

}  // namespace
}  // namespace spoolrpc::cli::doctor
