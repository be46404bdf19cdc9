// RemoveTree() among others who remove, add to, or replace parts of the same tree.
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
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
using ::spoolrpc::testing::StatusIs;
using ::testing::HasSubstr;

class RemoveTreeTest : public ::testing::Test {
 protected:
  // tree/one, tree/inner/two; and outside/inner/one, outside/inner/two, outside/one, outside/two.
  void SetUp() override {
    for (const char* name : {"tree", "tree/inner", "outside", "outside/inner"}) {
      ASSERT_OK(MakeDirectory(SystemCalls::Real(), Path(name), 0700));
    }
    for (const char* name : {"tree/one", "tree/inner/two", "outside/one", "outside/two",
                             "outside/inner/one", "outside/inner/two"}) {
      Touch(name);
    }
  }
  std::string Path(absl::string_view name) const { return scratch_ / name; }
  void Touch(absl::string_view name) {
    ASSERT_OK(WriteNewFile(SystemCalls::Real(), Path(name), "x", 0600, false));
  }
  bool Exists(absl::string_view name) {
    struct stat s;
    return lstat(Path(name).c_str(), &s) == 0;
  }
  // Somebody moves `name` away and puts a link to outside/ in its place.
  void ReplaceByLink(absl::string_view name) {
    ASSERT_EQ(rename(Path(name).c_str(), Path("moved").c_str()), 0);
    ASSERT_EQ(symlink(Path("outside").c_str(), Path(name).c_str()), 0);
  }
  void ExpectOutsideIsWhole() {
    for (const char* name :
         {"outside/one", "outside/two", "outside/inner/one", "outside/inner/two"}) {
      EXPECT_TRUE(Exists(name)) << name << " was removed through a symbolic link";
    }
  }

  ScratchDirectory scratch_;
  FaultySystemCalls calls_;
};

TEST_F(RemoveTreeTest, RemovesFilesDirectoriesAndNothing) {
  EXPECT_OK(RemoveTree(&calls_, Path("tree")));
  EXPECT_FALSE(Exists("tree"));
  EXPECT_OK(RemoveTree(&calls_, Path("tree"))) << "gone already";
  EXPECT_OK(RemoveTree(&calls_, Path("outside/one")));
  EXPECT_FALSE(Exists("outside/one"));
}

TEST_F(RemoveTreeTest, RemovesLinksAndSpecialFilesThemselves) {
  ASSERT_EQ(symlink(Path("outside").c_str(), Path("tree/link").c_str()), 0);
  ASSERT_EQ(symlink(Path("outside").c_str(), Path("link").c_str()), 0);
  ASSERT_EQ(mkfifo(Path("tree/fifo").c_str(), 0600), 0);
  EXPECT_OK(RemoveTree(&calls_, Path("tree")));
  EXPECT_OK(RemoveTree(&calls_, Path("link")));
  EXPECT_FALSE(Exists("tree"));
  EXPECT_FALSE(Exists("link"));
  ExpectOutsideIsWhole();
}

TEST_F(RemoveTreeTest, TopReplacedByALinkBeforeItIsOpened) {
  calls_.Run({Call::kOpen, "/tree", 0, 1}, [&] { ReplaceByLink("tree"); });
  EXPECT_THAT(RemoveTree(&calls_, Path("tree")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(Path("tree"))));
  ExpectOutsideIsWhole();
}

TEST_F(RemoveTreeTest, TopReplacedByALinkAfterItWasOpened) {
  calls_.Run({Call::kListAt, "/tree", 0, 1}, [&] { ReplaceByLink("tree"); });
  EXPECT_FALSE(RemoveTree(&calls_, Path("tree")).ok()) << "the link stays, say so";
  ExpectOutsideIsWhole();
}

TEST_F(RemoveTreeTest, TopReplacedByALinkAfterItWasListed) {
  calls_.Run({Call::kUnlinkAt, "/tree", 0, 1}, [&] { ReplaceByLink("tree"); });
  EXPECT_FALSE(RemoveTree(&calls_, Path("tree")).ok());
  ExpectOutsideIsWhole();
}

TEST_F(RemoveTreeTest, InnerDirectoryReplacedByALinkBeforeItIsOpened) {
  calls_.Run({Call::kOpenAt, "/tree/inner", 0, 1}, [&] { ReplaceByLink("tree/inner"); });
  EXPECT_FALSE(RemoveTree(&calls_, Path("tree")).ok());
  ExpectOutsideIsWhole();
}

TEST_F(RemoveTreeTest, InnerDirectoryReplacedByALinkAfterItWasOpened) {
  calls_.Run({Call::kListAt, "/tree/inner", 0, 1}, [&] { ReplaceByLink("tree/inner"); });
  EXPECT_FALSE(RemoveTree(&calls_, Path("tree")).ok());
  ExpectOutsideIsWhole();
  EXPECT_FALSE(Exists("moved/two")) << "what was in the tree is removed where it went";
}

TEST_F(RemoveTreeTest, WhatAnotherRemovesMeanwhileIsNoError) {
  calls_.Run({Call::kUnlinkAt, "/tree/one", 0, 1}, [&] { unlink(Path("tree/one").c_str()); });
  calls_.Run({Call::kOpenAt, "/tree/inner", 0, 1}, [&] {
    unlink(Path("tree/inner/two").c_str());
    rmdir(Path("tree/inner").c_str());
  });
  EXPECT_OK(RemoveTree(&calls_, Path("tree")));
  EXPECT_FALSE(Exists("tree"));
}

TEST_F(RemoveTreeTest, AWholeTreeThatGoesMeanwhileIsNoError) {
  for (const Call call : {Call::kOpen, Call::kListAt, Call::kRmdir}) {
    ScratchDirectory scratch;
    ASSERT_OK(MakeDirectory(SystemCalls::Real(), scratch / "tree", 0700));
    FaultySystemCalls calls;
    const auto hook =
        calls.Run({call, "/tree", 0, 1}, [&] { ASSERT_EQ(rmdir((scratch / "tree").c_str()), 0); });
    EXPECT_OK(RemoveTree(&calls, scratch / "tree"));
    EXPECT_EQ(calls.Met(hook), 1);
  }
}

TEST_F(RemoveTreeTest, WhatIsAddedMeanwhileIsReported) {
  calls_.Run({Call::kRmdir, "/tree", 0, 1}, [&] { Touch("tree/new"); });
  EXPECT_THAT(RemoveTree(&calls_, Path("tree")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("remove directory " + Path("tree"))));
  EXPECT_TRUE(Exists("tree/new"));
}

TEST_F(RemoveTreeTest, OneFailureDoesNotKeepTheRest) {
  calls_.Fail({Call::kUnlinkAt, "/tree/one"}, EACCES);
  EXPECT_THAT(RemoveTree(&calls_, Path("tree")), StatusIs(absl::StatusCode::kPermissionDenied,
                                                          HasSubstr("remove " + Path("tree/one"))));
  EXPECT_TRUE(Exists("tree/one"));
  EXPECT_FALSE(Exists("tree/inner"));
}

TEST_F(RemoveTreeTest, DepthIsBounded) {
  std::string path = Path("deep");
  for (int depth = 0; depth < 32; ++depth) {
    ASSERT_OK(MakeDirectory(SystemCalls::Real(), path, 0700));
    path += "/d";
  }
  EXPECT_OK(RemoveTree(&calls_, Path("deep")));
  EXPECT_FALSE(Exists("deep"));

  path = Path("deep");
  for (int depth = 0; depth < 33; ++depth) {
    ASSERT_OK(MakeDirectory(SystemCalls::Real(), path, 0700));
    path += "/d";
  }
  EXPECT_THAT(RemoveTree(&calls_, Path("deep")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("directories deep")));
}

TEST_F(RemoveTreeTest, ManyRemoveTheSameTreeAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const std::string top = Path(absl::StrCat("shared", round));
    ASSERT_OK(MakeDirectory(SystemCalls::Real(), top, 0700));
    for (int i = 0; i < 5; ++i) {
      const std::string inner = absl::StrCat(top, "/", i);
      ASSERT_OK(MakeDirectory(SystemCalls::Real(), inner, 0700));
      for (int j = 0; j < 5; ++j) {
        ASSERT_OK(WriteNewFile(SystemCalls::Real(), absl::StrCat(inner, "/", j), "", 0600, false));
      }
    }
    std::vector<std::thread> threads;
    std::vector<absl::Status> results(4);
    for (absl::Status& result : results) {
      threads.emplace_back([&] { result = RemoveTree(SystemCalls::Real(), top); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& result : results) EXPECT_OK(result);
    EXPECT_THAT(StatPath(SystemCalls::Real(), top), HasCode(absl::StatusCode::kNotFound));
  }
}

}  // namespace
}  // namespace spoolrpc::os
