// Each system call fails once in each operation: the status says what was done to which path, and
// no descriptor is lost.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "tests/testing/faulty_system_calls.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::os {
namespace {

using ::spoolrpc::testing::Call;
using ::spoolrpc::testing::FaultySystemCalls;
using ::spoolrpc::testing::HasCode;
using ::spoolrpc::testing::IsOk;
using ::spoolrpc::testing::ScratchDirectory;
using ::testing::StartsWith;

int OpenDescriptors() {
  std::vector<std::string> names;
  SystemCalls::Real()->List("/proc/self/fd", &names);
  return static_cast<int>(names.size());
}

struct Case {
  const char* name;
  Call fails;
  // What the message begins with; "DIR" stands for the scratch directory.
  const char* message;
  // Runs over a directory that holds "file" of 4096 bytes and "tree/inner/leaf".
  std::function<absl::Status(SystemCalls*, const std::string&)> operation;
};

OpenOptions ReadWrite() {
  OpenOptions options;
  options.access = OpenOptions::Access::kReadWrite;
  return options;
}

// Opens DIR/file, and does something with it.
std::function<absl::Status(SystemCalls*, const std::string&)> OnFile(
    std::function<absl::Status(File*)> operation) {
  return [operation](SystemCalls* calls, const std::string& dir) -> absl::Status {
    auto file = OpenFile(calls, dir + "/file", ReadWrite());
    if (!file.ok()) return file.status();
    return operation(file->get());
  };
}

std::vector<Case> Cases() {
  const auto write_new = [](SystemCalls* calls, const std::string& dir) {
    return WriteNewFile(calls, dir + "/new", "content", 0640, true);
  };
  const auto read_whole = [](SystemCalls* calls, const std::string& dir) {
    return ReadWholeFile(calls, dir + "/file", 10000).status();
  };
  const auto remove_tree = [](SystemCalls* calls, const std::string& dir) {
    return RemoveTree(calls, dir + "/tree");
  };
  return {
      {"Open", Call::kOpen, "open DIR/file: ", OnFile([](File*) { return absl::OkStatus(); })},
      {"Read", Call::kPread, "read DIR/file: ", OnFile([](File* file) {
         char byte;
         return file->ReadAt(0, &byte, 1).status();
       })},
      {"Write", Call::kPwrite,
       "write DIR/file: ", OnFile([](File* file) { return file->WriteAt(0, "x"); })},
      {"FlushData", Call::kFdatasync,
       "flush DIR/file: ", OnFile([](File* file) { return file->SyncData(); })},
      {"Flush", Call::kFsync, "flush DIR/file: ", OnFile([](File* file) { return file->Sync(); })},
      {"Allocate", Call::kFallocate,
       "allocate DIR/file: ", OnFile([](File* file) { return file->Allocate(8192); })},
      {"Stat", Call::kFstat,
       "stat DIR/file: ", OnFile([](File* file) { return file->Stat().status(); })},
      {"SetModeOfOpen", Call::kFchmod,
       "set mode of DIR/file: ", OnFile([](File* file) { return file->SetMode(0600); })},
      {"Map", Call::kMap,
       "map DIR/file: ", OnFile([](File* file) { return file->Map(4096).status(); })},
      {"Close", Call::kClose, "close DIR/file: ", OnFile([](File* file) { return file->Close(); })},
      {"StatPath", Call::kLstat, "stat DIR/file: ",
       [](SystemCalls* calls, const std::string& dir) {
         return StatPath(calls, dir + "/file").status();
       }},
      {"MakeDirectory", Call::kMkdir, "make directory DIR/new: ",
       [](SystemCalls* calls, const std::string& dir) {
         return MakeDirectory(calls, dir + "/new", 0700);
       }},
      {"SetMode", Call::kChmod, "set mode of DIR/file: ",
       [](SystemCalls* calls, const std::string& dir) {
         return SetMode(calls, dir + "/file", 0600);
       }},
      {"SetGroup", Call::kLchown, "set group of DIR/file: ",
       [](SystemCalls* calls, const std::string& dir) {
         return SetGroup(calls, dir + "/file", getegid());
       }},
      {"RemoveFile", Call::kUnlink, "remove DIR/file: ",
       [](SystemCalls* calls, const std::string& dir) { return RemoveFile(calls, dir + "/file"); }},
      {"RemoveDirectory", Call::kRmdir, "remove directory DIR/tree/inner: ",
       [](SystemCalls* calls, const std::string& dir) {
         return RemoveDirectory(calls, dir + "/tree/inner");
       }},
      {"Rename", Call::kRename, "rename DIR/file to DIR/new: ",
       [](SystemCalls* calls, const std::string& dir) {
         return Rename(calls, dir + "/file", dir + "/new");
       }},
      {"Link", Call::kLink, "link DIR/file to DIR/new: ",
       [](SystemCalls* calls, const std::string& dir) {
         return Link(calls, dir + "/file", dir + "/new");
       }},
      {"List", Call::kList, "list DIR: ",
       [](SystemCalls* calls, const std::string& dir) {
         return ListDirectory(calls, dir).status();
       }},
      {"SyncDirectoryOpen", Call::kOpen, "open DIR: ",
       [](SystemCalls* calls, const std::string& dir) { return SyncDirectory(calls, dir); }},
      {"SyncDirectory", Call::kFsync, "flush DIR: ",
       [](SystemCalls* calls, const std::string& dir) { return SyncDirectory(calls, dir); }},
      {"ReadWholeOpen", Call::kOpen, "open DIR/file: ", read_whole},
      {"ReadWholeStat", Call::kFstat, "stat DIR/file: ", read_whole},
      {"ReadWholeRead", Call::kPread, "read DIR/file: ", read_whole},
      {"WriteNewOpen", Call::kOpen, "create DIR/new: ", write_new},
      {"WriteNewMode", Call::kFchmod, "set mode of DIR/new: ", write_new},
      {"WriteNewWrite", Call::kPwrite, "write DIR/new: ", write_new},
      {"WriteNewFlush", Call::kFsync, "flush DIR/new: ", write_new},
      {"WriteNewClose", Call::kClose, "close DIR/new: ", write_new},
      {"RemoveTreeStat", Call::kLstat, "stat DIR/tree: ", remove_tree},
      {"RemoveTreeOpen", Call::kOpen, "open DIR/tree: ", remove_tree},
      {"RemoveTreeList", Call::kListAt, "list DIR/tree: ", remove_tree},
      {"RemoveTreeOpenInner", Call::kOpenAt, "open DIR/tree/inner: ", remove_tree},
      {"RemoveTreeRemove", Call::kUnlinkAt, "remove DIR/tree/inner: ", remove_tree},
      {"RemoveTreeRmdir", Call::kRmdir, "remove directory DIR/tree: ", remove_tree},
  };
}

class FileFaultsTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    SystemCalls* const real = SystemCalls::Real();
    ASSERT_OK(WriteNewFile(real, scratch_ / "file", std::string(4096, 'x'), 0600, false));
    ASSERT_OK(MakeDirectory(real, scratch_ / "tree", 0700));
    ASSERT_OK(MakeDirectory(real, scratch_ / "tree/inner", 0700));
    ASSERT_OK(WriteNewFile(real, scratch_ / "tree/inner/leaf", "x", 0600, false));
  }
  ScratchDirectory scratch_;
  FaultySystemCalls calls_;
};

TEST_P(FileFaultsTest, StatusNamesOperationAndPath) {
  const Case& c = GetParam();
  std::string message = c.message;
  for (size_t at; (at = message.find("DIR")) != std::string::npos;) {
    message.replace(at, 3, scratch_.path());
  }
  const int before = OpenDescriptors();
  for (const int error : {EIO, ENOSPC, EACCES}) {
    calls_.Clear();
    const auto fault = calls_.Fail({c.fails, "", 0, 1}, error);
    const absl::Status status = c.operation(&calls_, scratch_.path());
    ASSERT_EQ(calls_.Met(fault), 1) << "the operation does not make this call";
    EXPECT_EQ(status.code(), ErrnoToStatus(error, "", "").code());
    EXPECT_THAT(std::string(status.message()), StartsWith(message));
    EXPECT_EQ(ErrnoOf(status), error);
    EXPECT_EQ(OpenDescriptors(), before) << "a descriptor was lost";
    SystemCalls::Real()->Unlink((scratch_ / "new").c_str());
    // What a tree's removal took away before its fault.
    if (!StatPath(SystemCalls::Real(), scratch_ / "tree/inner").ok()) {
      MakeDirectory(SystemCalls::Real(), scratch_ / "tree/inner", 0700).IgnoreError();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FileFaultsTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

// What one operation does, whatever single call of it fails: an error, or it was not needed.
TEST(FileFaults, NoSingleFailureIsSwallowedByWritingANewFile) {
  for (int call = 0; call <= static_cast<int>(Call::kListAt); ++call) {
    ScratchDirectory scratch;
    FaultySystemCalls calls;
    const auto fault = calls.Fail({static_cast<Call>(call), "", 0, 1}, EIO);
    const absl::Status status = WriteNewFile(&calls, scratch / "new", "content", 0644, true);
    EXPECT_EQ(status.ok(), calls.Met(fault) == 0) << "call " << call << ": " << status;
  }
}

}  // namespace
}  // namespace spoolrpc::os
