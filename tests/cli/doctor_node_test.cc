// `spoolrpc doctor` on one node: each thing that the protocol relies on is taken away, and
// precisely that is found.
#include <errno.h>
#include <stdlib.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "cli/doctor/doctor.h"
#include "cli/doctor/mount.h"
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
using ::testing::ElementsAre;
using testing::FaultySystemCalls;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::MemoryClientOptions;
using testing::MemoryFileSystem;

MemoryClientOptions Network() {
  MemoryClientOptions options;
  options.network = true;
  return options;
}

// Alone, on a file system in memory with these properties.
Diagnosis DiagnoseMemory(const MemoryClientOptions& memory) {
  MemoryFileSystem system;
  const auto client = system.NewClient(memory);
  Diagnosis diagnosis = Diagnose(Alone(client.get(), "/", FewRounds()));
  const auto left = os::ListDirectory(client.get(), "/");
  EXPECT_TRUE(left.ok());
  EXPECT_THAT(*left, IsEmpty()) << "left behind";
  return diagnosis;
}

class DoctorNodeTest : public ::testing::Test {
 protected:
  // Alone, in a real directory, with these faults.
  Diagnosis DiagnoseReal() {
    const Diagnosis diagnosis = Diagnose(Alone(&calls_, scratch_.path(), FewRounds()));
    const auto left = os::ListDirectory(os::SystemCalls::Real(), scratch_.path());
    EXPECT_TRUE(left.ok());
    EXPECT_THAT(*left, IsEmpty()) << "left behind";
    return diagnosis;
  }

  const testing::ScratchDirectory scratch_;
  FaultySystemCalls calls_;
};

TEST_F(DoctorNodeTest, ALocalFileSystemWorks) {
  const Diagnosis diagnosis = DiagnoseReal();
  EXPECT_EQ(diagnosis.verdict, Verdict::kWorks) << diagnosis.ending;
  EXPECT_THAT(NamesOf(diagnosis, Result::kFail), IsEmpty());
  EXPECT_THAT(NamesOf(diagnosis, Result::kWarn), IsEmpty());
  EXPECT_THAT(SettingsOf(diagnosis), IsEmpty());
  EXPECT_EQ(FindingOf(diagnosis, "exclusive_link").figures["none_won"], 0);
  EXPECT_EQ(FindingOf(diagnosis, "exclusive_link").figures["rounds"], 10);
}

TEST_F(DoctorNodeTest, ANetworkFileSystemWorks) {
  const Diagnosis diagnosis = DiagnoseMemory(Network());
  EXPECT_EQ(diagnosis.file_system, "nfs");
  EXPECT_EQ(diagnosis.verdict, Verdict::kWorks) << diagnosis.ending;
  EXPECT_EQ(FindingOf(diagnosis, "direct_read").result, Result::kOk);
  EXPECT_EQ(FindingOf(diagnosis, "direct_read").figures["alignment_bytes"], 512);
}

TEST_F(DoctorNodeTest, SeveralWinnersOfAName) {
  MemoryClientOptions options;
  options.lax_names = true;
  const Diagnosis diagnosis = DiagnoseMemory(options);
  EXPECT_THAT(NamesOf(diagnosis, Result::kFail),
              ElementsAre("exclusive_create", "exclusive_link", "exclusive_mkdir"));
  EXPECT_EQ(FindingOf(diagnosis, "exclusive_link").figures["several_won"], 10);
  EXPECT_EQ(FindingOf(diagnosis, "exclusive_rename").result, Result::kOk);
  EXPECT_EQ(diagnosis.verdict, Verdict::kDoNotUse);
}

TEST_F(DoctorNodeTest, NoHardLinks) {
  calls_.Fail({Call::kLink}, EPERM);
  const Diagnosis diagnosis = DiagnoseReal();
  EXPECT_THAT(NamesOf(diagnosis, Result::kFail), ElementsAre("exclusive_link"));
  EXPECT_THAT(FindingOf(diagnosis, "exclusive_link").meaning, HasSubstr("link"));
  EXPECT_EQ(diagnosis.verdict, Verdict::kDoNotUse);
}

TEST_F(DoctorNodeTest, NoRenames) {
  calls_.Fail({Call::kRename}, EOPNOTSUPP);
  EXPECT_THAT(NamesOf(DiagnoseReal(), Result::kFail), ElementsAre("exclusive_rename"));
}

TEST_F(DoctorNodeTest, AFullDisk) {
  calls_.LimitSpace(100 * 1024);
  const Diagnosis diagnosis = DiagnoseReal();
  EXPECT_EQ(FindingOf(diagnosis, "preallocation").result, Result::kFail);
  EXPECT_THAT(FindingOf(diagnosis, "preallocation").meaning, HasSubstr("No space left"));
  EXPECT_EQ(diagnosis.verdict, Verdict::kDoNotUse);
}

TEST_F(DoctorNodeTest, LostWrites) {
  // The head of the file comes late: a hole is left where the zeros belong, and then its length.
  calls_.LoseWrites({Call::kPwrite, "/log"});
  EXPECT_THAT(FindingOf(DiagnoseReal(), "preallocation").meaning, HasSubstr("are not that"));
}

TEST_F(DoctorNodeTest, LittleSpaceAndFewInodes) {
  MemoryClientOptions options;
  options.free_bytes = 4 << 20;
  options.free_inodes = 1000000;
  const Diagnosis little = DiagnoseMemory(options);
  EXPECT_THAT(NamesOf(little, Result::kWarn), ElementsAre("space"));
  EXPECT_EQ(FindingOf(little, "space").figures["sessions"], 7);
  EXPECT_EQ(little.verdict, Verdict::kWorks);
  options.free_bytes = 100 * 1024;
  const Diagnosis none = DiagnoseMemory(options);
  EXPECT_THAT(NamesOf(none, Result::kFail), ElementsAre("space"));
  EXPECT_EQ(none.verdict, Verdict::kDoNotUse);
  options.free_bytes = uint64_t{1} << 40;
  options.free_inodes = 20;
  EXPECT_THAT(NamesOf(DiagnoseMemory(options), Result::kFail), ElementsAre("inodes"));
}

TEST_F(DoctorNodeTest, WithoutDirectReadsOnlyAPairCanTell) {
  MemoryClientOptions options = Network();
  options.direct = false;
  const Diagnosis diagnosis = DiagnoseMemory(options);
  EXPECT_THAT(NamesOf(diagnosis, Result::kWarn), ElementsAre("direct_read"));
  EXPECT_THAT(NamesOf(diagnosis, Result::kFail), IsEmpty());
  EXPECT_EQ(FindingOf(diagnosis, "direct_read").figures["works"], 0);
}

TEST_F(DoctorNodeTest, DirectReadsThatDoNotShowOwnWrites) {
  MemoryFileSystem system;
  const auto client = system.NewClient(Network());
  FaultySystemCalls calls(client.get());
  // The log itself takes 4 writes, the writes before it 10.
  calls.LoseWrites({Call::kPwrite, "/log", /*skip=*/14});
  const Diagnosis diagnosis = Diagnose(Alone(&calls, "/", FewRounds()));
  EXPECT_THAT(NamesOf(diagnosis, Result::kFail), ElementsAre("direct_read"));
  EXPECT_EQ(FindingOf(diagnosis, "direct_read").figures["stale"], 10);
}

TEST_F(DoctorNodeTest, SmallWritesWantSmallLogs) {
  MemoryClientOptions options = Network();
  options.block_size = 32768;
  const Diagnosis diagnosis = DiagnoseMemory(options);
  EXPECT_THAT(NamesOf(diagnosis, Result::kWarn), ElementsAre("write_size"));
  EXPECT_THAT(SettingsOf(diagnosis), ElementsAre("ChannelOptions::log_capacity = 131072",
                                                 "ServerBuilder::set_log_capacity() = 131072"));
  EXPECT_EQ(diagnosis.verdict, Verdict::kWorksWithSettings);
}

TEST_F(DoctorNodeTest, AStallWantsALongerLease) {
  const int stall = calls_.Block({Call::kPwrite, "/log", /*skip=*/7, /*times=*/1});
  std::thread releases([&] {
    ASSERT_TRUE(calls_.AwaitBlocked(stall));
    // As long as a stall has to be: four of them make a term.
    absl::SleepFor(absl::Milliseconds(2600));
    calls_.Release(stall);
  });
  const Diagnosis diagnosis = DiagnoseReal();
  releases.join();
  EXPECT_THAT(NamesOf(diagnosis, Result::kWarn), ElementsAre("flushed_write"));
  ASSERT_EQ(diagnosis.settings.size(), 2);
  EXPECT_EQ(diagnosis.settings[0].name, "ChannelOptions::lease_term");
  EXPECT_EQ(diagnosis.settings[1].name, "ServerBuilder::set_lease_term()");
  EXPECT_EQ(diagnosis.verdict, Verdict::kWorksWithSettings);
}

TEST_F(DoctorNodeTest, ADirectoryThatIsNotThereGivesNoAnswer) {
  const Diagnosis diagnosis = Diagnose(Alone(&calls_, scratch_ / "none", FewRounds()));
  EXPECT_EQ(diagnosis.verdict, Verdict::kUnknown);
  EXPECT_THAT(diagnosis.ending, testing::HasCode(absl::StatusCode::kNotFound));
}

TEST_F(DoctorNodeTest, ADirectoryThatEverybodyMayWriteTo) {
  ASSERT_OK(os::SetMode(&calls_, scratch_.path(), 0777));
  EXPECT_THAT(NamesOf(DiagnoseReal(), Result::kWarn), ElementsAre("directory"));
  ASSERT_OK(os::SetMode(&calls_, scratch_.path(), 01777));
  EXPECT_THAT(NamesOf(DiagnoseReal(), Result::kWarn), IsEmpty());
}

TEST_F(DoctorNodeTest, DoorbellsThatCannotBeMapped) {
  const auto partner = BellPartner::Start();
  ASSERT_NE(partner, nullptr);
  Options options = Alone(&calls_, scratch_.path(), FewRounds());
  options.partner = partner.get();
  calls_.Fail({Call::kMap}, ENODEV);
  const Diagnosis without = Diagnose(options);
  EXPECT_THAT(NamesOf(without, Result::kWarn), ElementsAre("doorbell"));
  EXPECT_EQ(FindingOf(without, "doorbell").figures["works"], 0);
  EXPECT_EQ(without.verdict, Verdict::kWorks);
  calls_.Clear();
  const Diagnosis with = Diagnose(options);
  EXPECT_EQ(FindingOf(with, "doorbell").result, Result::kOk) << FindingOf(with, "doorbell").meaning;
  EXPECT_EQ(FindingOf(with, "doorbell").figures["count"], 30);
}

TEST_F(DoctorNodeTest, WhatKilledRunsLeftIsRemovedWhenItIsOld) {
  const std::string old = scratch_ / ".spoolrpc-doctor-look-0011223344556677";
  const std::string young = scratch_ / ".spoolrpc-doctor-8899aabbccddeeff";
  ASSERT_OK(os::MakeDirectory(&calls_, old, 0700));
  ASSERT_OK(os::MakeDirectory(&calls_, young, 0700));
  const std::string touch = "touch -d '2 hours ago' " + old;
  ASSERT_EQ(system(touch.c_str()), 0);
  EXPECT_EQ(Diagnose(Alone(&calls_, scratch_.path(), FewRounds())).verdict, Verdict::kWorks);
  ASSERT_OK_AND_ASSIGN(const auto left, os::ListDirectory(&calls_, scratch_.path()));
  EXPECT_THAT(left, ElementsAre(".spoolrpc-doctor-8899aabbccddeeff"));
}

TEST_F(DoctorNodeTest, AnInterruptionTidiesUp) {
  const int write = calls_.Block({Call::kPwrite, "/log", /*skip=*/8, /*times=*/1});
  std::atomic<bool> interrupted{false};
  std::thread interrupts([&] {
    ASSERT_TRUE(calls_.AwaitBlocked(write));
    interrupted = true;
    calls_.Release(write);
  });
  Options options = Alone(&calls_, scratch_.path(), FewRounds());
  options.limits.writes = 1000000000;
  options.interrupted = [&] { return interrupted.load(); };
  const Diagnosis diagnosis = Diagnose(options);
  interrupts.join();
  EXPECT_THAT(diagnosis.ending, testing::HasCode(absl::StatusCode::kCancelled));
  ASSERT_OK_AND_ASSIGN(const auto left, os::ListDirectory(&calls_, scratch_.path()));
  EXPECT_THAT(left, IsEmpty());
}

TEST_F(DoctorNodeTest, AHangIsReportedNotShared) {
  // The thread that hangs goes on when it can, and uses this then.
  static FaultySystemCalls* const calls = new FaultySystemCalls;
  const int hang = calls->Block({Call::kFsync, "/log"});
  Options options = Alone(calls, scratch_.path(), FewRounds());
  options.limits.check = absl::Seconds(2);
  const Diagnosis diagnosis = Diagnose(options);
  EXPECT_THAT(diagnosis.ending, testing::HasCode(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(std::string(diagnosis.ending.message()), HasSubstr("'preallocation' hangs"));
  EXPECT_THAT(NamesOf(diagnosis, Result::kFail), ElementsAre("preallocation"));
  EXPECT_EQ(diagnosis.verdict, Verdict::kUnknown);
  calls->Release(hang);
  const absl::Time end = absl::Now() + absl::Minutes(1);
  for (bool gone = false; !gone; absl::SleepFor(absl::Milliseconds(5))) {
    ASSERT_LT(absl::Now(), end) << "it does not tidy up when it can";
    const auto left = os::ListDirectory(os::SystemCalls::Real(), scratch_.path());
    gone = left.ok() && left->empty();
  }
}

TEST(DoctorMountTest, FindsTheMountThatIsSeen) {
  const std::string mountinfo =
      "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
      "30 21 0:40 / /scratch rw - nfs4 server:/old rw,hard\n"
      "31 21 0:41 / /scratch rw,relatime shared:5 master:2 - nfs4 server:/export "
      "rw,soft,wsize=8192\n"
      "32 21 0:42 / /scratch\\040two rw - fuse.sshfs me@host:/x rw,user_id=0\n"
      "broken\n";
  const Mount mount = FindMount(mountinfo, "/scratch/me");
  EXPECT_EQ(mount.source, "server:/export");
  EXPECT_EQ(mount.type, "nfs4");
  EXPECT_TRUE(HasOption(mount, "soft"));
  EXPECT_FALSE(HasOption(mount, "sof"));
  EXPECT_EQ(FindMount(mountinfo, "/scratchy").point, "/");
  EXPECT_EQ(FindMount(mountinfo, "/scratch two/x").type, "fuse.sshfs");
  EXPECT_EQ(MountOptionForNames(FindMount(mountinfo, "/scratch two"))->value, "dir_cache=no");
  EXPECT_FALSE(MountOptionForNames(FindMount(mountinfo, "/")).has_value());
}

}  // namespace
}  // namespace spoolrpc::cli::doctor
