#include "tests/simulation/world.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/simulation/inside.h"
#include "tests/simulation/raw_futex.h"

namespace spoolrpc::simulation {
namespace {

using testing::Call;

constexpr os::Nanos kMillisecond = 1000000;
constexpr os::Nanos kSecond = 1000 * kMillisecond;
// How long a process may compute, in real time, before it counts as broken.
constexpr int kRealPatience = 60000;
// Now and then a thread that could run does not, for as long as a busy host takes.
constexpr int kLateOneIn = 40;
constexpr os::Nanos kLate = 20 * kMillisecond;

const char* NameOf(Call call) {
  static const char* const kNames[] = {
      "open",   "close",  "pread",  "pwrite", "fdatasync", "fsync",  "fallocate", "fstat",
      "fchmod", "map",    "unmap",  "lstat",  "statfs",    "mkdir",  "chmod",     "lchown",
      "rmdir",  "unlink", "rename", "link",   "list",      "openat", "unlinkat",  "listat"};
  return kNames[static_cast<int>(call)];
}

}  // namespace

class World::WorldClock final : public os::Clock {
 public:
  explicit WorldClock(const Arena* arena) : arena_(arena) {}
  os::Nanos Now() const override { return arena_->now.load(); }
  absl::Time WallTime() const override {
    return absl::FromUnixSeconds(1577836800) + absl::Nanoseconds(Now() - kStart);
  }

 private:
  const Arena* const arena_;
};

World::World(const Plan& plan, Arena* arena, FILE* trace)
    : plan_(plan), arena_(arena), trace_(trace), random_(plan.seed ^ 0x5370'6f6f'6c21) {
  // (Slots that the last world used; their large buffers need no clearing.)
  for (int i = 0; i < arena_->slot_count; ++i) {
    Slot& slot = arena_->slots[i];
    slot.turn.store(0);
    slot.state = ThreadState::kFree;
    slot.process = -1;
    slot.tid = 0;
    slot.deadline = 0;
    slot.woken = slot.polls = false;
    slot.futex = nullptr;
  }
  for (auto& asked : arena_->asked_to_stop) asked.store(false);
  arena_->slot_count = 0;
  arena_->event_count = 0;
  arena_->world_turn.store(0);
  arena_->now.store(kStart);
  arena_->random = random_.Next();
  clock_ = std::make_unique<WorldClock>(arena_);
  files_ = std::make_unique<FileServer>(plan_.files, clock_.get(), &random_);
}

World::~World() {
  for (Process& process : processes_) {
    if (process.pid <= 0) continue;
    kill(process.pid, SIGKILL);
    waitpid(process.pid, nullptr, 0);
  }
}

void World::Trace(const std::string& line) {
  for (const char c : line) {
    outcome_.trace_hash = (outcome_.trace_hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  if (trace_ == nullptr) return;
  const os::Nanos since = now() - kStart;
  fprintf(trace_, "%3ld.%06ld %s\n", static_cast<long>(since / kSecond),
          static_cast<long>(since % kSecond / 1000), line.c_str());
}

void World::TraceThreads(int process) {
  static const char* const kStates[] = {"free", "ready", "running", "blocked", "calls", "exited"};
  for (int i = 0; i < arena_->slot_count; ++i) {
    const Slot& slot = arena_->slots[i];
    if (slot.process != process || slot.state == ThreadState::kExited) continue;
    const os::Nanos left = slot.deadline == os::kNever ? -1 : slot.deadline - now();
    Trace(absl::StrCat("p", process, ".", i, " ", kStates[static_cast<int>(slot.state)],
                       slot.woken ? " woken" : "", slot.polls ? " polls" : "", ", deadline in ",
                       left, slot.futex != nullptr ? ", futex" : ""));
  }
}

void World::TraceRequest(int slot) {
  const FileRequest& request = arena_->slots[slot].request;
  const int process = arena_->slots[slot].process;
  std::string line = absl::StrCat("p", process, ".", slot, " ", NameOf(request.call), " ",
                                  files_->PathOf(processes_[process].client, request));
  if (request.call == Call::kPread || request.call == Call::kPwrite) {
    absl::StrAppend(&line, " ", request.count, "@", request.offset);
  }
  absl::StrAppend(&line, " = ", request.result);
  if (request.result < 0) absl::StrAppend(&line, " ", strerrorname_np(-request.result));
  Trace(line);
}

void World::Schedule(os::Nanos when, EventKind kind, int index, size_t part) {
  events_.push(Event{when, next_event_++, kind, index, part});
}

int World::AddProcess(const std::string& name, std::function<void()> program) {
  Process process;
  process.name = name;
  process.program = std::move(program);
  processes_.push_back(std::move(process));
  return static_cast<int>(processes_.size()) - 1;
}

void World::Start(int number) {
  Process& process = processes_[number];
  if (process.killed) return;
  process.started = true;
  process.client = files_->AddClient();
  const int index = arena_->slot_count++;
  if (index >= kMaxSlots) abort();
  Slot* const slot = &arena_->slots[index];
  slot->process = number;
  slot->state = ThreadState::kReady;
  Trace(absl::StrCat("p", number, " begins: ", process.name));
  fflush(nullptr);
  process.pid = fork();
  if (process.pid < 0) {
    perror("fork");
    abort();
  }
  if (process.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Enter(arena_, slot);
    process.program();
    Leave();
    _exit(0);
  }
}

void World::Kill(int number) {
  Process& process = processes_[number];
  if (process.ended || process.killed) return;
  process.killed = true;
  outcome_.killed.insert(number);
  if (!process.started) return;
  kill(process.pid, SIGKILL);
  waitpid(process.pid, nullptr, 0);
  process.pid = -1;
  process.ended = true;
  for (int i = 0; i < arena_->slot_count; ++i) {
    Slot& slot = arena_->slots[i];
    if (slot.process != number) continue;
    // What is on its way to the file server may arrive, or not.
    if (slot.state == ThreadState::kCall && pending_[i].begun && random_.OneIn(2)) {
      pending_[i].begun = false;
      --process.in_flight;
    }
    slot.state = ThreadState::kExited;
  }
  if (process.in_flight == 0) files_->Crash(process.client);
}

void World::Apply(const Fault& fault) {
  Process& process = processes_[fault.process];
  if (fault.kind == Fault::Kind::kKill) {
    Trace(absl::StrCat("p", fault.process, " is killed"));
    Kill(fault.process);
    return;
  }
  switch (fault.kind) {
    case Fault::Kind::kKill:
      break;
    case Fault::Kind::kPause:
      Trace(absl::StrCat("p", fault.process, " pauses for ", fault.duration));
      process.paused_until = std::max(process.paused_until, now() + fault.duration);
      break;
    case Fault::Kind::kFreeze:
      Trace(absl::StrCat("p", fault.process, " and its host freeze for ", fault.duration));
      process.paused_until = std::max(process.paused_until, now() + fault.duration);
      if (process.started) files_->Stall(process.client, now() + fault.duration);
      break;
    case Fault::Kind::kStop:
      Trace(absl::StrCat("p", fault.process, " is asked to stop"));
      arena_->asked_to_stop[fault.process].store(true);
      for (int i = 0; i < arena_->slot_count; ++i) {
        Slot& slot = arena_->slots[i];
        if (slot.process == fault.process && slot.polls) slot.woken = true;
      }
      break;
    case Fault::Kind::kStallOne:
      Trace(absl::StrCat("files stall for p", fault.process, ", ", fault.duration));
      if (process.started) files_->Stall(process.client, now() + fault.duration);
      break;
    case Fault::Kind::kStallAll:
      Trace(absl::StrCat("files stall, ", fault.duration));
      files_->Stall(-1, now() + fault.duration);
      break;
    case Fault::Kind::kFlip:
      Trace("a byte flips");
      if (files_->Flip()) outcome_.damaged = true;
      return;
    case Fault::Kind::kZero:
      Trace("a block is zeroed");
      if (files_->Zero()) outcome_.damaged = true;
      return;
  }
  outcome_.disturbed.insert(fault.process);
}

void World::Happen(const Event& event) {
  switch (event.kind) {
    case EventKind::kStart:
      Start(event.index);
      return;
    case EventKind::kFault:
      Apply(plan_.faults[event.index]);
      return;
    case EventKind::kHeal:
      Trace("all is well from here on");
      files_->Heal();
      return;
    case EventKind::kReady:
      return;  // (Choose() looks at the time)
    case EventKind::kPart: {
      Pending& pending = pending_[event.index];
      Slot& slot = arena_->slots[event.index];
      Process& process = processes_[slot.process];
      if (!pending.begun) return;
      files_->Do(process.client, pending.course, event.part, &slot.request, now());
      if (event.part + 1 < pending.course.parts.size()) return;
      pending.begun = false;
      if (process.killed) Trace(absl::StrCat("p", slot.process, " is gone, and yet:"));
      TraceRequest(event.index);
      if (--process.in_flight == 0 && process.killed) files_->Crash(process.client);
      return;
    }
    case EventKind::kReply: {
      Slot& slot = arena_->slots[event.index];
      if (slot.state != ThreadState::kCall) return;
      slot.state = ThreadState::kReady;
      return;
    }
  }
}

void World::ApplyAtWrite(int index) {
  const Slot& slot = arena_->slots[index];
  Process& process = processes_[slot.process];
  if (slot.request.call != Call::kPwrite || now() >= plan_.faults_end) return;
  const std::string path = files_->PathOf(process.client, slot.request);
  if (!absl::EndsWith(path, "/requests") && !absl::EndsWith(path, "/responses")) return;
  ++process.log_writes;
  for (const Fault& fault : plan_.faults) {
    if (fault.process != slot.process || fault.at_write != process.log_writes) continue;
    Trace(absl::StrCat("as p", slot.process, ".", index, " writes ", slot.request.count, "@",
                       slot.request.offset, " to ", path, ":"));
    Apply(fault);
  }
}

void World::TakeRequest(int index) {
  ApplyAtWrite(index);
  Slot& slot = arena_->slots[index];
  if (slot.state != ThreadState::kCall) return;  // killed
  Pending& pending = pending_[index];
  Process& process = processes_[slot.process];
  pending.course = files_->Begin(process.client, slot.request, now());
  const auto& parts = pending.course.parts;
  if (parts.empty()) {
    slot.request.result = -pending.course.error;
    TraceRequest(index);
  } else {
    pending.begun = true;
    ++process.in_flight;
  }
  for (size_t i = 0; i < parts.size(); ++i) Schedule(parts[i].when, EventKind::kPart, index, i);
  Schedule(pending.course.reply, EventKind::kReply, index);
}

void World::OnExit(int index) {
  const Slot& slot = arena_->slots[index];
  Process& process = processes_[slot.process];
  // The kernel is done with the thread before anybody goes on.
  while (RawSystemCall(SYS_tgkill, process.pid, slot.tid, 0) == 0) {
    siginfo_t info = {};
    if (waitid(P_PID, process.pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
      break;
    }
    sched_yield();
  }
  siginfo_t info = {};
  if (waitid(P_PID, process.pid, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return;
  process.pid = -1;
  process.ended = true;
  if (info.si_code != CLD_EXITED) {
    outcome_.broken.push_back(
        absl::StrCat("p", slot.process, " (", process.name, "): signal ", info.si_status));
  }
  Trace(absl::StrCat("p", slot.process, " ends"));
  files_->Crash(process.client);
  for (int i = 0; i < arena_->slot_count; ++i) {
    if (arena_->slots[i].process == slot.process) arena_->slots[i].state = ThreadState::kExited;
  }
}

int World::Choose() {
  int ready[kMaxSlots];
  int count = 0;
  const os::Nanos time = now();
  for (int i = 0; i < arena_->slot_count; ++i) {
    const Slot& slot = arena_->slots[i];
    if (slot.state != ThreadState::kReady &&
        !(slot.state == ThreadState::kBlocked && (slot.woken || slot.deadline <= time))) {
      continue;
    }
    if (processes_[slot.process].paused_until > time || not_before_[i] > time) continue;
    ready[count++] = i;
  }
  return count == 0 ? -1 : ready[random_.Below(count)];
}

void World::Step(int index) {
  Slot& slot = arena_->slots[index];
  const int number = slot.process;
  ++outcome_.steps;
  slot.futex = nullptr;
  slot.turn.store(1, std::memory_order_release);
  RawFutexWake(&slot.turn);
  int waited = 0;
  while (arena_->world_turn.load(std::memory_order_acquire) == 0) {
    RawFutexWait(&arena_->world_turn, 0, 1000);
    if (arena_->world_turn.load() != 0) break;
    waited += 1000;
    siginfo_t info = {};
    const bool gone =
        waitid(P_PID, processes_[number].pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0;
    if (!gone && waited < kRealPatience) continue;
    Process& process = processes_[number];
    outcome_.broken.push_back(absl::StrCat("p", number, " (", process.name, "): ",
                                           gone ? absl::StrCat("signal ", info.si_status)
                                                : std::string("does not give its turn back")));
    if (gone) process.pid = -1;
    process.ended = true;
    for (int i = 0; i < arena_->slot_count; ++i) {
      if (arena_->slots[i].process == number) arena_->slots[i].state = ThreadState::kExited;
    }
    return;
  }
  arena_->world_turn.store(0);
  if (random_.OneIn(kLateOneIn)) {
    not_before_[index] = now() + random_.Below(kLate);
    Schedule(not_before_[index], EventKind::kReady, index);
  }
  if (slot.state == ThreadState::kCall) TakeRequest(index);
  if (slot.state == ThreadState::kExited) OnExit(index);
}

bool World::Advance() {
  os::Nanos next = events_.empty() ? os::kNever : events_.top().when;
  for (int i = 0; i < arena_->slot_count; ++i) {
    const Slot& slot = arena_->slots[i];
    os::Nanos at = os::kNever;
    if (slot.state == ThreadState::kReady) at = 0;
    if (slot.state == ThreadState::kBlocked) at = slot.woken ? 0 : slot.deadline;
    if (at == os::kNever) continue;
    at = std::max({at, processes_[slot.process].paused_until, not_before_[i]});
    next = std::min(next, at);
  }
  if (next == os::kNever) return false;
  if (next > now()) arena_->now.store(next);
  return true;
}

bool World::ClientsEnded() const {
  for (size_t i = 0; i < processes_.size(); ++i) {
    const bool server = i < plan_.processes.size() && plan_.processes[i].server;
    if (!server && !processes_[i].ended && !processes_[i].killed) return false;
  }
  return true;
}

bool World::AllEnded() const {
  return std::all_of(processes_.begin(), processes_.end(),
                     [](const Process& p) { return p.ended || p.killed; });
}

void World::AskServersToStop() {
  for (size_t i = 0; i < processes_.size(); ++i) {
    const Fault fault = {Fault::Kind::kStop, now(), 0, static_cast<int>(i), 0};
    if (!processes_[i].ended && processes_[i].started) Apply(fault);
  }
}

Outcome World::Run() {
  for (size_t i = 0; i < plan_.processes.size(); ++i) {
    const ProcessPlan& process = plan_.processes[i];
    const int number = static_cast<int>(i);
    if (process.server) {
      AddProcess("server", [=] { RunServer(number, process.server_options); });
    } else {
      AddProcess("client", [=] { RunClient(number, process.client_options); });
    }
    Schedule(process.start, EventKind::kStart, number);
  }
  for (size_t i = 0; i < plan_.faults.size(); ++i) {
    if (plan_.faults[i].at_write > 0) continue;
    Schedule(plan_.faults[i].when, EventKind::kFault, static_cast<int>(i));
  }
  Schedule(plan_.faults_end, EventKind::kHeal, 0);

  // Clients first; then one that collects what they left; then the servers have time to remove what
  // the dead have left; then they stop.
  int phase = 0;
  os::Nanos tidy = 0;
  os::Nanos end = plan_.end;
  while (now() < end && outcome_.broken.empty()) {
    while (!events_.empty() && events_.top().when <= now()) {
      const Event event = events_.top();
      events_.pop();
      Happen(event);
    }
    if (phase == 0 && now() >= plan_.faults_end && ClientsEnded()) {
      phase = 1;
      const int number =
          AddProcess("collector", [n = static_cast<int>(processes_.size())] { RunCollector(n); });
      Start(number);
      end = now() + plan_.end - plan_.faults_end;
    } else if (phase == 1 && ClientsEnded()) {
      phase = 2;
      tidy = now() + plan_.tidy;
      Schedule(tidy, EventKind::kReady, 0);
      end = tidy + plan_.end - plan_.faults_end;
    } else if (phase == 2 && now() >= tidy) {
      phase = 3;
      AskServersToStop();
    } else if (phase == 3 && AllEnded()) {
      break;
    }
    const int slot = Choose();
    if (slot >= 0) {
      Step(slot);
    } else if (!Advance()) {
      break;
    }
  }
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (!processes_[i].ended && !processes_[i].killed) {
      outcome_.hung.push_back(absl::StrCat("p", i, " (", processes_[i].name, ")"));
      TraceThreads(static_cast<int>(i));
    }
  }
  outcome_.ended = now();
  outcome_.tidied = plan_.tidy > 0;
  outcome_.paths = files_->AllPaths();
  outcome_.history.assign(arena_->events, arena_->events + arena_->event_count);
  return std::move(outcome_);
}

}  // namespace spoolrpc::simulation
