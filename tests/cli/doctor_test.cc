// `spoolrpc doctor` as people run it: the program, alone and as a pair of processes.
#include <signal.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "spoolrpc/status.pb.h"
#include "tests/cli/programs.h"
#include "tests/testing/scratch_directory.h"

namespace spoolrpc::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() { std::filesystem::create_directory(directory_); }

  Outcome Doctor(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "doctor");
    return RunProgram(scratch_.path(), kSpoolrpc, arguments);
  }
  std::unique_ptr<Program> Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "doctor");
    return std::make_unique<Program>(scratch_.path(), kSpoolrpc, arguments);
  }
  // An examination by two takes half a minute, and longer on a busy machine.
  static int Await(Program* program) {
    int status = -1;
    for (int minutes = 0; status == -1 && minutes < 5; ++minutes) status = program->Wait();
    return status;
  }
  std::vector<std::string> Left() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  static DoctorDocument Parse(const std::string& out) {
    DoctorDocument document;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(out, &document).ok()) << out;
    return document;
  }

  const testing::ScratchDirectory scratch_;
  const std::string directory_ = scratch_ / "examined";
};

TEST_F(DoctorTest, AloneItPrintsATableAndAVerdict) {
  WriteFile(directory_ + "/format", "another's");
  const Outcome outcome = Doctor({directory_});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  for (const char* text : {"one node alone", "CHECK", "RESULT", "FIGURE", "MEANING",
                           "exclusive_link", "50 of 50 rounds", "\nVerdict: works"}) {
    EXPECT_THAT(outcome.out, HasSubstr(text));
  }
  EXPECT_THAT(outcome.err, IsEmpty());
  EXPECT_THAT(Left(), ElementsAre("format")) << "what was there stays, and nothing else";
  EXPECT_EQ(ReadFile(directory_ + "/format"), "another's");
}

TEST_F(DoctorTest, JsonHasTheDocumentedKeys) {
  const Outcome outcome = Doctor({directory_, "--json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  for (const char* key :
       {"path", "file_system", "mount_type", "mount_source", "mount_point", "mount_options", "pair",
        "verdict", "message", "checks", "settings", "name", "result", "figure", "meaning",
        "figures", "median_ms", "free_bytes"}) {
    EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("\"", key, "\":")));
  }
  const DoctorDocument document = Parse(outcome.out);
  EXPECT_EQ(document.path(), std::filesystem::canonical(directory_));
  EXPECT_EQ(document.verdict(), "works") << outcome.out;
  EXPECT_EQ(document.message(), "");
  std::vector<std::string> names;
  for (const DoctorCheckDocument& check : document.checks()) names.push_back(check.name());
  EXPECT_THAT(names,
              ElementsAre("directory", "file_system", "space", "inodes", "preallocation",
                          "flushed_write", "direct_read", "exclusive_create", "exclusive_link",
                          "exclusive_mkdir", "exclusive_rename", "doorbell"));
}

TEST_F(DoctorTest, TwoProcessesExamineItTogether) {
  const auto first = Start({directory_, "--pair=look", "--json"});
  const auto second = Start({directory_, "--pair=look", "--timeout=2m"});
  EXPECT_EQ(Await(first.get()), 0) << first->out() << first->err();
  EXPECT_EQ(Await(second.get()), 0) << second->out() << second->err();
  EXPECT_THAT(second->out(), HasSubstr("\nVerdict: works"));
  EXPECT_THAT(second->out(), HasSubstr("two nodes"));
  EXPECT_THAT(first->err(), HasSubstr("waiting for the other node"));
  const DoctorDocument document = Parse(first->out());
  EXPECT_EQ(document.pair(), "look");
  std::vector<std::string> names;
  for (const DoctorCheckDocument& check : document.checks()) {
    if (check.name() == "doorbell_shared") {
      EXPECT_EQ(check.figures().at("shared"), 1);
    }
    names.push_back(check.name());
  }
  names.erase(names.begin(), names.begin() + 12);
  EXPECT_THAT(names,
              ElementsAre("nodes", "doorbell_shared", "round_trip", "clock_difference", "read_held",
                          "read_opened_anew", "flush_then_open", "names_listed", "names_opened",
                          "names_in_vain", "pair_exclusive_create", "pair_exclusive_link",
                          "pair_exclusive_mkdir", "pair_exclusive_rename", "removed_under_reader",
                          "removed_under_writer", "other_node"));
  EXPECT_THAT(Left(), IsEmpty());
}

TEST_F(DoctorTest, WithoutAnotherNodeThereIsNoAnswer) {
  const Outcome outcome = Doctor({directory_, "--pair=look", "--timeout=200ms", "--json"});
  EXPECT_EQ(outcome.status, 3) << outcome.out;
  EXPECT_THAT(outcome.err, HasSubstr("no other node came within 200ms"));
  EXPECT_EQ(Parse(outcome.out).verdict(), "unknown");
  EXPECT_THAT(Parse(outcome.out).message(), HasSubstr("no other node came"));
  EXPECT_THAT(Left(), IsEmpty());
}

TEST_F(DoctorTest, ASignalEndsItAndItTidiesUp) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto program = Start({directory_, "--pair=look"});
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (!absl::StrContains(program->err(), "waiting for the other node")) {
      ASSERT_LT(absl::Now(), end) << program->err();
      absl::SleepFor(absl::Milliseconds(5));
    }
    EXPECT_EQ(Left().size(), 1);
    program->Send(signal);
    EXPECT_EQ(program->Wait(), 128 + signal) << program->err();
    EXPECT_THAT(Left(), IsEmpty());
    EXPECT_THAT(program->out(), IsEmpty());
  }
}

TEST_F(DoctorTest, WhatCannotBeExaminedIsSaid) {
  EXPECT_EQ(Doctor({}).status, 2);
  EXPECT_EQ(Doctor({directory_, "--pair=two words"}).status, 2);
  EXPECT_EQ(Doctor({directory_, "--pair", std::string(41, 'a')}).status, 2);
  EXPECT_EQ(Doctor({directory_, "--timeout=soon"}).status, 2);
  const Outcome none = Doctor({scratch_ / "none"});
  EXPECT_EQ(none.status, 3);
  EXPECT_THAT(none.err, HasSubstr("a directory that is there"));
  WriteFile(scratch_ / "file", "");
  const Outcome file = Doctor({scratch_ / "file"});
  EXPECT_EQ(file.status, 3) << file.out;
  EXPECT_THAT(file.err, HasSubstr("is no directory"));
}

}  // namespace
}  // namespace spoolrpc::cli
