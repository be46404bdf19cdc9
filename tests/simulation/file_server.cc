#include "tests/simulation/file_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::simulation {
namespace {

using testing::Call;

constexpr os::Nanos kMicrosecond = 1000;
constexpr os::Nanos kListingAge = 30000 * kMicrosecond;
constexpr os::Nanos kSlowest = 2500000 * kMicrosecond;
constexpr uint64_t kBlock = 4096;

// What a client answers from what it knows, without asking the server.
bool IsLocal(Call call) {
  return call == Call::kClose || call == Call::kFstat || call == Call::kStatfs;
}

bool ChangesNames(Call call) {
  switch (call) {
    case Call::kOpen:
    case Call::kMkdir:
    case Call::kRmdir:
    case Call::kUnlink:
    case Call::kRename:
    case Call::kLink:
      return true;
    default:
      return false;
  }
}

}  // namespace

FileServer::FileServer(const FilePlan& plan, const os::Clock* clock, Random* random)
    : plan_(plan), random_(random), system_(clock) {
  testing::MemoryClientOptions options;
  options.uid = geteuid();
  options.gid = getegid();
  own_ = system_.NewClient(options);
}

int FileServer::AddClient() {
  testing::MemoryClientOptions options;
  options.network = true;
  options.uid = geteuid();
  options.gid = getegid();
  clients_.emplace_back();
  clients_.back().files = system_.NewClient(options);
  return static_cast<int>(clients_.size()) - 1;
}

void FileServer::Crash(int client) {
  clients_[client].files->Crash();
  clients_[client].paths.clear();
}

void FileServer::Stall(int client, os::Nanos until) {
  os::Nanos& stalled = client < 0 ? all_stalled_until_ : clients_[client].stalled_until;
  stalled = std::max(stalled, until);
}

void FileServer::Heal() {
  plan_.tear = plan_.stale_list = plan_.slow = 0;
  plan_.write_error = plan_.read_error = plan_.name_error = 0;
}

FileServer::Course FileServer::Begin(int client, const FileRequest& request, os::Nanos now) {
  Course course;
  if (IsLocal(request.call)) {
    course.parts.push_back({now + kMicrosecond, 0, 0});
    course.reply = now + 2 * kMicrosecond;
    return course;
  }
  const auto latency = [&] {
    if (Chance(plan_.slow)) return random_->Between(plan_.min_latency, kSlowest);
    // Mostly short.
    const os::Nanos most = random_->OneIn(4) ? plan_.max_latency : 4 * plan_.min_latency;
    return random_->Between(plan_.min_latency, std::max(most, plan_.min_latency));
  };
  // Each way waits for the end of a stall.
  const auto arrive = [&](os::Nanos when) {
    const os::Nanos stalled = std::max(all_stalled_until_, clients_[client].stalled_until);
    return std::max(when + latency(), stalled + random_->Below(plan_.min_latency));
  };
  os::Nanos at = arrive(now);
  if (request.call == Call::kPwrite) {
    const uint64_t first_block_end = (request.offset / kBlock + 1) * kBlock;
    const uint64_t blocks =
        request.offset + request.count > first_block_end
            ? (request.offset + request.count - first_block_end + kBlock - 1) / kBlock
            : 0;
    if (blocks > 0 && Chance(plan_.tear)) {
      const uint64_t cut =
          first_block_end + kBlock * random_->Below(static_cast<int64_t>(blocks)) - request.offset;
      course.parts.push_back({at, 0, cut});
      at += latency();
      course.parts.push_back({at, cut, request.count});
      if (random_->OneIn(2)) {
        std::swap(course.parts[0].begin, course.parts[1].begin);
        std::swap(course.parts[0].end, course.parts[1].end);
      }
    } else {
      course.parts.push_back({at, 0, request.count});
    }
    if (Chance(plan_.write_error)) {
      course.error = EIO;
      if (random_->OneIn(2)) course.parts.pop_back();
    }
  } else {
    course.parts.push_back({at, 0, 0});
    if (request.call == Call::kPread && Chance(plan_.read_error)) {
      course.error = random_->OneIn(2) ? EIO : ESTALE;
    }
    if ((request.call == Call::kFdatasync || request.call == Call::kFsync) &&
        Chance(plan_.write_error)) {
      course.error = EIO;
    }
    if (ChangesNames(request.call) && Chance(plan_.name_error)) {
      course.error = EIO;
      // (Done or not.)
      if (random_->OneIn(2)) course.parts.pop_back();
    }
  }
  course.reply = arrive(at);
  return course;
}

void FileServer::List(Client* client, const std::string& path, FileRequest* request,
                      os::Nanos now) {
  Listing& listing = client->listings[path];
  const bool known = listing.when != 0 && now - listing.when <= kListingAge;
  if (!known || !Chance(plan_.stale_list)) {
    request->result = request->call == Call::kList
                          ? client->files->List(path.c_str(), &listing.names)
                          : client->files->ListAt(request->fd, &listing.names);
    listing.when = request->result == 0 ? now : 0;
    if (request->result != 0) return;
  } else {
    request->result = 0;
  }
  size_t used = 0;
  request->count = 0;
  for (const std::string& name : listing.names) {
    if (used + name.size() + 1 > kMaxTransfer) abort();
    memcpy(request->data + used, name.c_str(), name.size() + 1);
    used += name.size() + 1;
    ++request->count;
  }
}

void FileServer::ForgetListing(Client* client, const std::string& path) {
  client->listings.erase(path.substr(0, path.rfind('/')));
}

void FileServer::Do(int number, const Course& course, size_t part, FileRequest* request,
                    os::Nanos now) {
  Client& client = clients_[number];
  testing::MemoryClient& files = *client.files;
  const bool last = part + 1 == course.parts.size();
  // A client knows of its own changes.
  if (ChangesNames(request->call)) {
    ForgetListing(&client, request->path);
    ForgetListing(&client, request->other);
  }
  switch (request->call) {
    case Call::kOpen:
      request->result = files.Open(request->path, request->flags, request->mode);
      if (request->result >= 0) client.paths[request->result] = request->path;
      break;
    case Call::kClose:
      request->result = files.Close(request->fd);
      client.paths.erase(request->fd);
      break;
    case Call::kPread: {
      alignas(4096) static char aligned[kMaxTransfer + 4096];
      char* const buffer = request->flags != 0 ? aligned : aligned + 8;
      request->result = files.Pread(request->fd, buffer, request->count, request->offset);
      if (request->result > 0) memcpy(request->data, buffer, request->result);
      break;
    }
    case Call::kPwrite: {
      const auto& bytes = course.parts[part];
      const ssize_t put =
          files.Pwrite(request->fd, request->data + bytes.begin, bytes.end - bytes.begin,
                       request->offset + static_cast<int64_t>(bytes.begin));
      request->result = put < 0 ? put : static_cast<int64_t>(request->count);
      break;
    }
    case Call::kFdatasync:
      request->result = files.Fdatasync(request->fd);
      break;
    case Call::kFsync:
      request->result = files.Fsync(request->fd);
      break;
    case Call::kFallocate:
      request->result = files.Fallocate(request->fd, request->offset);
      break;
    case Call::kFstat:
      request->result = files.Fstat(request->fd, &request->info);
      break;
    case Call::kFchmod:
      request->result = files.Fchmod(request->fd, request->mode);
      break;
    case Call::kLstat:
      request->result = files.Lstat(request->path, &request->info);
      break;
    case Call::kStatfs:
      request->result = files.Statfs(request->path, &request->file_system);
      break;
    case Call::kMkdir:
      request->result = files.Mkdir(request->path, request->mode);
      break;
    case Call::kChmod:
      request->result = files.Chmod(request->path, request->mode);
      break;
    case Call::kLchown:
      request->result = files.Lchown(request->path, request->uid, request->gid);
      break;
    case Call::kRmdir:
      request->result = files.Rmdir(request->path);
      break;
    case Call::kUnlink:
      request->result = files.Unlink(request->path);
      break;
    case Call::kRename:
      request->result = files.Rename(request->path, request->other);
      break;
    case Call::kLink:
      request->result = files.Link(request->path, request->other);
      break;
    case Call::kList:
      List(&client, request->path, request, now);
      break;
    case Call::kListAt:
      List(&client, PathOf(number, *request), request, now);
      break;
    case Call::kOpenAt:
      request->result = files.OpenAt(request->fd, request->path, request->flags);
      if (request->result >= 0) client.paths[request->result] = PathOf(number, *request);
      break;
    case Call::kUnlinkAt:
      ForgetListing(&client, PathOf(number, *request));
      request->result = files.UnlinkAt(request->fd, request->path, request->flags);
      break;
    default:
      request->result = -ENOSYS;
  }
  if (last && course.error != 0) {
    // What was opened nobody will close.
    if (request->call == Call::kOpen && request->result >= 0) {
      files.Close(static_cast<int>(request->result));
      client.paths.erase(static_cast<int>(request->result));
    }
    request->result = -course.error;
  }
}

std::string FileServer::PathOf(int client, const FileRequest& request) const {
  if (request.fd < 0) {
    return request.other[0] == '\0' ? request.path
                                    : absl::StrCat(request.path, " -> ", request.other);
  }
  const auto found = clients_[client].paths.find(request.fd);
  std::string path = found == clients_[client].paths.end() ? "?" : found->second;
  if (request.path[0] != '\0') absl::StrAppend(&path, "/", request.path);
  return path;
}

void FileServer::Walk(const std::string& directory, std::vector<std::string>* paths) {
  std::vector<std::string> names;
  if (own_->List(directory.c_str(), &names) != 0) return;
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(directory == "/" ? "" : directory, "/", name);
    paths->push_back(path);
    Walk(path, paths);
  }
}

std::vector<std::string> FileServer::AllPaths() {
  std::vector<std::string> paths;
  Walk("/", &paths);
  return paths;
}

std::string FileServer::SomeLog() {
  std::vector<std::string> logs;
  for (const std::string& path : AllPaths()) {
    if (absl::EndsWith(path, "/requests") || absl::EndsWith(path, "/responses")) {
      logs.push_back(path);
    }
  }
  return logs.empty() ? "" : logs[random_->Below(static_cast<int64_t>(logs.size()))];
}

bool FileServer::Flip() {
  const std::string path = SomeLog();
  const int fd = path.empty() ? -1 : own_->Open(path.c_str(), O_RDWR, 0);
  if (fd < 0) return false;
  // Where something is likely to be.
  const off_t at = random_->Below(16384);
  char byte = 0;
  if (own_->Pread(fd, &byte, 1, at) == 1) {
    byte = static_cast<char>(byte ^ (1 << random_->Below(8)));
    own_->Pwrite(fd, &byte, 1, at);
  }
  own_->Close(fd);
  return true;
}

bool FileServer::Zero() {
  const std::string path = SomeLog();
  const int fd = path.empty() ? -1 : own_->Open(path.c_str(), O_RDWR, 0);
  if (fd < 0) return false;
  const std::string zeros(kBlock, '\0');
  own_->Pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(kBlock) * random_->Below(4));
  own_->Close(fd);
  return true;
}

}  // namespace spoolrpc::simulation
