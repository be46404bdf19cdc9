// What the fuzz targets of durable calls share: a file of such a call with arbitrary content, read
// through the store as servers and callers do.
//
// Input: flags (1: make a record of the front; 2: and give it the ticket, and the body the size and
// checksum that the record says), front:u16 (so many bytes are the record, the rest its body),
// limit:u16, the bytes.
#ifndef SPOOLRPC_TESTS_SPOOL_FUZZ_DURABLE_FUZZ_H_
#define SPOOLRPC_TESTS_SPOOL_FUZZ_DURABLE_FUZZ_H_

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "spoolrpc/os/file.h"
#include "spoolrpc/spool/durable_store.h"
#include "tests/spool/fuzz/record_fuzz.h"
#include "tests/testing/memory_file_system.h"

namespace spoolrpc::fuzz {

enum DurableFlags : uint8_t { kRepairFront = 1, kRepairContent = 2 };

// One durable call in a spool in memory, that lives as long as the process.
class DurableFiles {
 public:
  static DurableFiles* Get() {
    static auto* const files = new DurableFiles;
    return files;
  }

  const spool::DurableStore& store() const { return *store_; }
  const std::string& ticket() const { return ticket_; }
  // Makes it the content of the call's file `name`.
  void Put(const std::string& name, const std::string& content) {
    const std::string path = store_->spool().durable_call(ticket_) + "/" + name;
    os::RemoveFile(calls_.get(), path).IgnoreError();
    FUZZ_CHECK(os::WriteNewFile(calls_.get(), path, content, 0600, false).ok());
  }

 private:
  DurableFiles() : calls_(system_.NewClient(Myself())), ticket_(spool::kIdSize, 't') {
    os::Environment env;
    env.calls = calls_.get();
    auto spool = spool::DurableStore::OpenSpool(env, "/spool", spool::Transport::kLocal);
    if (!spool.ok()) fprintf(stderr, "%s\n", spool.status().ToString().c_str());
    FUZZ_CHECK(spool.ok());
    store_ = std::make_unique<spool::DurableStore>(*spool);
    const std::string call = (*spool)->durable_call(ticket_);
    const absl::Status made =
        os::MakeDirectory(calls_.get(), call.substr(0, call.rfind('/')), 0700);
    FUZZ_CHECK(made.ok() || absl::IsAlreadyExists(made));
    FUZZ_CHECK(os::MakeDirectory(calls_.get(), call, 0700).ok());
  }

  static testing::MemoryClientOptions Myself() {
    testing::MemoryClientOptions options;
    options.uid = geteuid();
    options.gid = getegid();
    return options;
  }

  testing::MemoryFileSystem system_;
  const std::unique_ptr<testing::MemoryClient> calls_;
  const std::string ticket_;
  std::unique_ptr<spool::DurableStore> store_;
};

struct DurableInput {
  std::string content;
  size_t front = 0;
  size_t limit = 0;
};

// Takes the input apart. `set_body(&message, body)` gives a message its Body, if it has one.
template <class Message, class SetBody>
DurableInput TakeDurable(FuzzInput* input, spool::RecordKind kind, SetBody set_body) {
  DurableInput taken;
  const uint8_t flags = input->Take<uint8_t>();
  taken.front = input->Take<uint16_t>();
  taken.limit = input->Take<uint16_t>();
  taken.content = input->TakeRest();
  taken.front = std::min(taken.front, taken.content.size());
  if (flags & kRepairFront) RepairRecord(kind, taken.front, &taken.content);
  if (!(flags & kRepairContent)) return taken;
  Message message;
  absl::string_view rest;
  if (spool::DecodeRecordFront(taken.content, kind, &message, &rest).ok()) {
    const std::string body(rest);
    message.set_ticket(DurableFiles::Get()->ticket());
    set_body(&message, spool::DescribeBody(kind, body));
    taken.content = spool::EncodeRecord(kind, message);
    taken.front = taken.content.size();
    taken.content += body;
  }
  return taken;
}

// An error of the store's, which must name the path.
inline void CheckDurableRefusal(const absl::Status& status, const std::string& name) {
  FUZZ_CHECK(!absl::IsNotFound(status) && !absl::IsUnavailable(status));
  if (!absl::IsResourceExhausted(status)) CheckRefusal(status);
  FUZZ_CHECK(status.message().find("/spool/durable/") != absl::string_view::npos);
  FUZZ_CHECK(status.message().find("/" + name) != absl::string_view::npos);
}

}  // namespace spoolrpc::fuzz

#endif  // SPOOLRPC_TESTS_SPOOL_FUZZ_DURABLE_FUZZ_H_
