// Mapped files that shrink: the process goes on with memory of its own, and a SIGBUS that has
// nothing to do with them does what it did before.
#include "spoolrpc/os/mapping_guard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "spoolrpc/os/file.h"
#include "tests/testing/scratch_directory.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::os {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSize = 3 * kPage;

class MappingGuardTest : public ::testing::Test {
 protected:
  MappingGuardTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  std::string path() const { return scratch_ / "file"; }
  std::unique_ptr<Mapping> MapNew() {
    unlink(path().c_str());
    OpenOptions options;
    options.access = OpenOptions::Access::kReadWrite;
    options.create = true;
    auto file = OpenFile(SystemCalls::Real(), path(), options);
    EXPECT_OK(file);
    EXPECT_OK((*file)->WriteAt(0, std::string(kSize, 'x')));
    auto mapping = (*file)->Map(kSize);
    EXPECT_OK(mapping);
    return *std::move(mapping);
  }
  // One that nobody guards, of a file that has no page any more.
  static volatile char* LostPage(const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (ftruncate(fd, kPage) != 0) abort();
    void* const page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED || ftruncate(fd, 0) != 0) abort();
    close(fd);
    return static_cast<volatile char*>(page);
  }
  static volatile char* Bytes(const Mapping& mapping) {
    return static_cast<volatile char*>(mapping.address());
  }

  const spoolrpc::testing::ScratchDirectory scratch_;
};

TEST_F(MappingGuardTest, FileThatIsWholeIsShared) {
  const auto mapping = MapNew();
  EXPECT_EQ(Bytes(*mapping)[kSize - 1], 'x');
  Bytes(*mapping)[1] = 'y';
  ASSERT_OK_AND_ASSIGN(const std::string content,
                       ReadWholeFile(SystemCalls::Real(), path(), kSize));
  EXPECT_EQ(content.substr(0, 3), "xyx");
  EXPECT_FALSE(mapping->lost());
}

TEST_F(MappingGuardTest, FileThatShrinksBecomesZerosOfThisProcess) {
  const auto mapping = MapNew();
  ASSERT_EQ(truncate(path().c_str(), 0), 0);
  EXPECT_FALSE(mapping->lost());  // nobody has touched it
  for (size_t i = 0; i < kSize; i += kPage / 2) EXPECT_EQ(Bytes(*mapping)[i], 0) << i;
  EXPECT_TRUE(mapping->lost());
  Bytes(*mapping)[kPage] = 'z';
  EXPECT_EQ(Bytes(*mapping)[kPage], 'z');
  // Not even when the file grows again is anything of it seen.
  ASSERT_EQ(truncate(path().c_str(), kSize), 0);
  EXPECT_EQ(Bytes(*mapping)[kPage], 'z');
}

TEST_F(MappingGuardTest, OneLostPageLosesTheWhole) {
  const auto mapping = MapNew();
  ASSERT_EQ(truncate(path().c_str(), 2 * kPage), 0);
  EXPECT_EQ(Bytes(*mapping)[0], 'x');
  Bytes(*mapping)[kSize - 1] = 'z';  // by a write, this time
  EXPECT_EQ(Bytes(*mapping)[kSize - 1], 'z');
  EXPECT_EQ(Bytes(*mapping)[0], 0);
  EXPECT_TRUE(mapping->lost());
}

TEST_F(MappingGuardTest, ManyThreadsMeetItAtOnce) {
  for (int round = 0; round < 20; ++round) {
    const auto mapping = MapNew();
    std::atomic<bool> truncated{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        auto* const counter =
            reinterpret_cast<std::atomic<uint64_t>*>(const_cast<char*>(Bytes(*mapping) + i * 64));
        while (!truncated.load(std::memory_order_acquire)) counter->fetch_add(1);
        // From here on in memory of its own, where nothing is lost.
        const uint64_t first = counter->fetch_add(1);
        for (int n = 1; n < 100; ++n) EXPECT_EQ(counter->fetch_add(1), first + n);
        EXPECT_TRUE(mapping->lost());
      });
    }
    EXPECT_EQ(truncate(path().c_str(), 0), 0);
    truncated.store(true, std::memory_order_release);
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(MappingGuardTest, EachMappingIsLostForItself) {
  // (And the places in the list are used again.)
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Mapping>> mappings;
    for (int i = 0; i < 50; ++i) {
      mappings.push_back(MapNew());
      ASSERT_EQ(truncate(path().c_str(), i % 2 == 0 ? 0 : kSize), 0);
    }
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(Bytes(*mappings[i])[kPage], i % 2 == 0 ? 0 : 'x');
      EXPECT_EQ(mappings[i]->lost(), i % 2 == 0) << i;
    }
  }
}

TEST_F(MappingGuardTest, OthersFaultsEndTheProcessAsEver) {
  const std::string path = scratch_ / "other";
  EXPECT_DEATH(
      {
        const auto mapping = MapNew();
        LostPage(path)[0] = 'x';
      },
      "");
  EXPECT_DEATH(
      {
        const auto mapping = MapNew();
        raise(SIGBUS);
      },
      "");
}

TEST_F(MappingGuardTest, OthersFaultsGoToTheHandlerThatWasThereBefore) {
  const std::string path = scratch_ / "other";
  EXPECT_EXIT(
      {
        struct sigaction action = {};
        action.sa_sigaction = [](int, siginfo_t* info, void*) {
          _exit(info->si_code == BUS_ADRERR ? 42 : 1);
        };
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGBUS, &action, nullptr);
        const auto mapping = MapNew();
        if (truncate(this->path().c_str(), 0) != 0) _exit(2);
        Bytes(*mapping)[0] = 'x';  // guarded: not his
        LostPage(path)[0] = 'x';
      },
      ::testing::ExitedWithCode(42), "");
  EXPECT_EXIT(
      {
        signal(SIGBUS, [](int) { _exit(43); });
        const auto mapping = MapNew();
        LostPage(path)[0] = 'x';
      },
      ::testing::ExitedWithCode(43), "");
  EXPECT_EXIT(
      {
        signal(SIGBUS, SIG_IGN);
        const auto mapping = MapNew();
        raise(SIGBUS);  // ignored, as before
        _exit(44);
      },
      ::testing::ExitedWithCode(44), "");
}

}  // namespace
}  // namespace spoolrpc::os
