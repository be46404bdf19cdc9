// The file system of a simulated world: a file server and what each of its clients sees, with all
// that network file systems were seen to do (docs/filesystems.md).
#ifndef SPOOLRPC_TESTS_SIMULATION_FILE_SERVER_H_
#define SPOOLRPC_TESTS_SIMULATION_FILE_SERVER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/arena.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/random.h"
#include "tests/testing/memory_file_system.h"

namespace spoolrpc::simulation {

// Not thread-safe: the world's.
class FileServer {
 public:
  // When the parts of an operation take effect, in that order, and when its caller hears of it.
  struct Course {
    struct Part {
      os::Nanos when;
      uint64_t begin;  // of a write: the bytes [begin, end)
      uint64_t end;
    };
    std::vector<Part> parts;
    os::Nanos reply;
    int error = 0;  // != 0: what the caller is told, whatever was done
  };

  FileServer(const FilePlan& plan, const os::Clock* clock, Random* random);

  // A host that mounts the file system; it is told by the number that is returned.
  int AddClient();
  // What it did not flush is lost, its descriptors are closed.
  void Crash(int client);
  // Until then nothing happens that `client` asks for; -1: that anyone asks for.
  void Stall(int client, os::Nanos until);
  // From then on all is as it should be.
  void Heal();

  // How the operation will go that `client` asks for now.
  Course Begin(int client, const FileRequest& request, os::Nanos now);
  // Does a part of it; the answer is in `*request` once the last part is done.
  void Do(int client, const Course& course, size_t part, FileRequest* request, os::Nanos now);

  // Damages a log; false if there is none.
  bool Flip();
  bool Zero();

  // The path that a descriptor was opened by.
  std::string PathOf(int client, const FileRequest& request) const;
  // Every path there is, for the checker.
  std::vector<std::string> AllPaths();

 private:
  struct Listing {
    os::Nanos when;
    std::vector<std::string> names;
  };
  struct Client {
    std::unique_ptr<testing::MemoryClient> files;
    os::Nanos stalled_until = 0;
    std::map<int, std::string> paths;  // of open descriptors
    std::map<std::string, Listing> listings;
  };

  void List(Client* client, const std::string& path, FileRequest* request, os::Nanos now);
  // The directory that `path` lies in has changed.
  static void ForgetListing(Client* client, const std::string& path);
  // A random log's path, or "".
  std::string SomeLog();
  void Walk(const std::string& directory, std::vector<std::string>* paths);
  bool Chance(int one_in) { return one_in > 0 && random_->OneIn(one_in); }

  FilePlan plan_;
  Random* const random_;
  testing::MemoryFileSystem system_;
  std::unique_ptr<testing::MemoryClient> own_;  // on the server's own disk
  std::vector<Client> clients_;
  os::Nanos all_stalled_until_ = 0;
};

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_FILE_SERVER_H_
