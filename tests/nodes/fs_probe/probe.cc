#include "tests/nodes/fs_probe/probe.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace fs_probe {
namespace {

std::string run_directory;

std::map<std::string, long> ReadOperations(const std::string& mount) {
  std::map<std::string, long> counts;
  std::ifstream file("/proc/self/mountstats");
  const std::string ours = " mounted on " + mount + " with";
  bool in_ours = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("device", 0) == 0) in_ours = line.find(ours) != std::string::npos;
    std::istringstream words(line);
    std::string name;
    long count = 0;
    if (!in_ours || !(words >> name >> count) || name.size() < 2 || name.back() != ':') continue;
    name.pop_back();
    if (name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == std::string::npos) {
      counts[name] = count;
    }
  }
  return counts;
}

}  // namespace

const std::string& Mount(int node) {
  static const std::string mounts[2] = {getenv("NODE1") == nullptr ? "" : getenv("NODE1"),
                                        getenv("NODE2") == nullptr ? "" : getenv("NODE2")};
  const std::string& mount = mounts[node - 1];
  if (mount.empty()) {
    std::fprintf(stderr, "fs_probe: set NODE1 and NODE2 to two mounts of one directory\n");
    std::exit(64);
  }
  return mount;
}

std::string Path(int node, const std::string& name) {
  return Mount(node) + "/" + run_directory + "/" + name;
}

void MakeRunDirectory() {
  run_directory = "fs_probe." + std::to_string(getpid());
  if (mkdir((Mount(1) + "/" + run_directory).c_str(), 0777) != 0) Die("mkdir in " + Mount(1));
  // The second mount may not look for new names for a long while; without this each measurement
  // would include that.
  TouchCache(Mount(2));
  for (int i = 0; access((Mount(2) + "/" + run_directory).c_str(), F_OK) != 0; ++i) {
    if (i == 1000) Die(Mount(2) + " does not show what was made in " + Mount(1));
    TouchCache(Mount(2));
    Nap(100e3);
  }
}

void RemoveRunDirectory() {
  std::error_code error;
  std::filesystem::remove_all(Mount(1) + "/" + run_directory, error);
}

double Now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::micro>(now).count();
}

void Nap(double microseconds) {
  if (microseconds > 0)
    std::this_thread::sleep_for(std::chrono::duration<double, std::micro>(microseconds));
}

void Die(const std::string& what) {
  std::fprintf(stderr, "fs_probe: %s: %s\n", what.c_str(), strerror(errno));
  std::fflush(stdout);
  std::_Exit(1);
}

double Quantile(std::vector<double> values, double part) {
  if (values.empty()) return -1;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(part * values.size()))];
}

Arguments::Arguments(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    char* end = nullptr;
    const double value = equals == std::string::npos ? 0 : strtod(word.c_str() + equals + 1, &end);
    if (end == nullptr || *end != '\0' || end == word.c_str() + equals + 1) {
      std::fprintf(stderr, "fs_probe: '%s' is not of the form key=number\n", word.c_str());
      std::exit(64);
    }
    values_[word.substr(0, equals)] = value;
  }
}

double Arguments::Get(const std::string& key, double otherwise) const {
  const auto found = values_.find(key);
  return found == values_.end() ? otherwise : found->second;
}

void* SharedMemory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Die("mmap");
  return memory;
}

void Publish(double* where, double value) { __atomic_store(where, &value, __ATOMIC_RELEASE); }

double Read(double* where) {
  double value;
  __atomic_load(where, &value, __ATOMIC_ACQUIRE);
  return value;
}

Child::Child(const std::function<void()>& work) {
  std::fflush(stdout);
  pid_ = fork();
  if (pid_ < 0) Die("fork");
  if (pid_ == 0) {
    work();
    std::fflush(stdout);
    std::_Exit(0);
  }
}

Child::~Child() {
  Kill();
  Wait();
}

void Child::Kill() {
  if (pid_ > 0) kill(pid_, SIGKILL);
}

void Child::Wait() {
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

bool Child::Finished() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ == 0;
}

Operations::Operations(int node) : node_(node), before_(ReadOperations(Mount(node))) {}

void Operations::Print(const std::string& what, double per) const {
  double all = 0;
  std::string text;
  for (const auto& [name, count] : ReadOperations(Mount(node_))) {
    const auto before = before_.find(name);
    const long done = count - (before == before_.end() ? 0 : before->second);
    if (done <= 0) continue;
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, " %s=%.2f", name.c_str(), done / per);
    text += buffer;
    all += done / per;
  }
  if (!text.empty()) {
    std::printf("    node %d, operations a %s:%s, in all %.2f\n", node_, what.c_str(), text.c_str(),
                all);
  }
}

int Open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags, 0666);
  if (fd < 0) Die("open " + path);
  return fd;
}

void WriteFile(const std::string& path, const std::string& text, size_t size) {
  const int fd = Open(path, O_CREAT | O_TRUNC | O_WRONLY);
  std::string bytes = text;
  bytes.resize(size);
  if (write(fd, bytes.data(), size) != static_cast<ssize_t>(size)) Die("write " + path);
  if (fsync(fd) != 0) Die("fsync " + path);
  close(fd);
}

void TouchCache(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd >= 0) close(fd);
}

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? "errno " + std::to_string(error) : name;
}

}  // namespace fs_probe
