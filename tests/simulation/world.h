// A simulated world: its processes, who runs next, what time it is, and what goes wrong when.
//
// One seed, one course of events: whoever is ready is chosen by the seed's generator, time moves on
// only when nobody is, and everything that a process can learn comes from the world.
#ifndef SPOOLRPC_TESTS_SIMULATION_WORLD_H_
#define SPOOLRPC_TESTS_SIMULATION_WORLD_H_

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/arena.h"
#include "tests/simulation/file_server.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/random.h"

namespace spoolrpc::simulation {

// What the checker is given.
struct Outcome {
  std::vector<HistoryEvent> history;
  std::set<int> killed;             // processes that were killed
  std::set<int> disturbed;          // or paused, or whose files stalled, or that were asked to stop
  bool damaged = false;             // a log was
  std::vector<std::string> hung;    // processes that had not ended when time was over
  std::vector<std::string> broken;  // processes that ended by a signal of their own
  std::vector<std::string> paths;   // what is left when all have ended
  uint64_t trace_hash = 0;          // of everything that was asked and answered
  uint64_t steps = 0;
  os::Nanos ended = 0;
  bool tidied = false;  // servers have had the time to remove what others had left
};

class World {
 public:
  // `arena` is memory that is shared with forked processes. `trace` (may be null) is told every
  // step.
  World(const Plan& plan, Arena* arena, FILE* trace);
  ~World();

  Outcome Run();

 private:
  enum class EventKind { kStart, kFault, kHeal, kPart, kReply, kReady };
  struct Event {
    os::Nanos when;
    uint64_t number;  // of those at the same time the first comes first
    EventKind kind;
    int index;  // of the process, the fault, or the slot
    size_t part;
    bool operator>(const Event& other) const {
      return when != other.when ? when > other.when : number > other.number;
    }
  };
  struct Process {
    std::function<void()> program;
    std::string name;
    pid_t pid = -1;
    int client = -1;  // of the file server
    bool started = false;
    bool ended = false;
    bool killed = false;
    int in_flight = 0;  // requests whose parts are still to come
    int log_writes = 0;
    os::Nanos paused_until = 0;
  };

  os::Nanos now() const { return arena_->now.load(); }
  int AddProcess(const std::string& name, std::function<void()> program);
  void Schedule(os::Nanos when, EventKind kind, int index, size_t part = 0);
  void Start(int process);
  // What is due by now.
  void Happen(const Event& event);
  void Apply(const Fault& fault);
  void Kill(int process);
  // A slot that can run, chosen at random; -1: none.
  int Choose();
  // Gives `slot` the turn until it gives it back.
  void Step(int slot);
  void TakeRequest(int slot);
  // Faults that wait for this request.
  void ApplyAtWrite(int slot);
  void OnExit(int slot);
  // Moves time on to what comes next; false if nothing will.
  bool Advance();
  bool ClientsEnded() const;
  void AskServersToStop();
  bool AllEnded() const;
  void Trace(const std::string& line);
  void TraceRequest(int slot);
  // What each of its threads is doing.
  void TraceThreads(int process);

  const Plan plan_;
  Arena* const arena_;
  FILE* const trace_;
  Random random_;
  class WorldClock;
  std::unique_ptr<WorldClock> clock_;
  std::unique_ptr<FileServer> files_;
  std::vector<Process> processes_;
  std::priority_queue<Event, std::vector<Event>, std::greater<Event>> events_;
  uint64_t next_event_ = 0;
  struct Pending {
    FileServer::Course course;
    bool begun = false;
  };
  Pending pending_[kMaxSlots];
  os::Nanos not_before_[kMaxSlots] = {};
  Outcome outcome_;
};

}  // namespace spoolrpc::simulation

#endif  // SPOOLRPC_TESTS_SIMULATION_WORLD_H_
