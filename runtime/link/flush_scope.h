// Several calls' frames in one write: flushes that a thread puts off until it has done what it has
// at hand.
#ifndef SPOOLRPC_LINK_FLUSH_SCOPE_H_
#define SPOOLRPC_LINK_FLUSH_SCOPE_H_

#include <memory>

namespace spoolrpc::link {

// What sends, and can have what it sent written out.
class Flushable {
 public:
  virtual ~Flushable() = default;
  // Writes out what was sent. Called without a lock, on any thread.
  virtual void FlushNow() = 0;
};

// While one lives, what its thread sends may wait for what it sends next: until the outermost one
// ends, or 20 us have passed and the thread comes by (FlushIfDue()), or a millisecond or two,
// wherever the thread is stuck; another thread flushes then.
class FlushScope {
 public:
  // While one lives, no program's code runs on this thread: it does not get stuck, and nobody needs
  // to watch. Before such code runs, Watch() is called.
  class Unwatched {
   public:
    Unwatched();
    ~Unwatched();
    Unwatched(const Unwatched&) = delete;
    Unwatched& operator=(const Unwatched&) = delete;
  };
  // While one lives, nothing more is put off: a program's code runs on this thread, for who knows
  // how long. What was put off before is watched.
  class Aside {
   public:
    Aside();
    ~Aside();
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;
  };
  FlushScope();
  ~FlushScope();
  FlushScope(const FlushScope&) = delete;
  FlushScope& operator=(const FlushScope&) = delete;

  // True: `flushable` will be flushed when it is time. False: this thread has no scope.
  template <typename T>
  static bool Defer(T* flushable) {
    if (!open()) return false;
    if (last() != flushable) Add(flushable->shared_from_this());
    return true;
  }
  // What was put off is watched from here on.
  static void Watch();
  // Flushes what has waited for so long. True: it has.
  static bool FlushIfDue();
  // Flushes everything: the thread is about to wait for something, perhaps for an answer to it.
  static void FlushAll();

 private:
  static bool open();
  // The one that was put off last; null: none.
  static const Flushable* last();
  static void Add(std::shared_ptr<Flushable> flushable);

  int outer_aside_ = 0;
};

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_LINK_FLUSH_SCOPE_H_
