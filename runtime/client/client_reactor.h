// Calls that do not block, as a client sees them: gRPC's reactors.
//
// A call belongs to a reactor: operations are started, and their ends are told by its virtual
// functions, one at a time, on threads of the runtime. These must not block. At most one read and
// one write are under way. OnDone() comes last, when the call has ended, nothing is under way and
// no hold is left; the reactor may delete itself there.
#ifndef SPOOLRPC_CLIENT_CLIENT_REACTOR_H_
#define SPOOLRPC_CLIENT_CLIENT_REACTOR_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/rpc/write_options.h"

namespace spoolrpc {

// A call that a reactor drives, without its types. Thread-safe; nothing blocks.
class AsyncClientCall {
 public:
  virtual ~AsyncClientCall() = default;
  virtual void StartCall() = 0;
  virtual void StartRead(google::protobuf::MessageLite* message) = 0;
  // `*message` must live until the write has ended.
  virtual void StartWrite(const google::protobuf::MessageLite* message, WriteOptions options) = 0;
  virtual void StartWritesDone() = 0;
  virtual void AddHolds(int holds) = 0;
  virtual void RemoveHold() = 0;
};

// What all reactors have in common.
class ClientReactor {
 public:
  virtual ~ClientReactor() = default;

  // The call has ended: nothing is called afterwards.
  virtual void OnDone(const absl::Status& /*status*/) {}
  // The server's initial metadata has come; not `ok`: it will not.
  virtual void OnReadInitialMetadataDone(bool /*ok*/) {}
  // A message has come; not `ok`: none will.
  virtual void OnReadDone(bool /*ok*/) {}
  // The message may be changed again, and the next one be written; not `ok`: the call has ended.
  virtual void OnWriteDone(bool /*ok*/) {}
  virtual void OnWritesDoneDone(bool /*ok*/) {}

  // For the runtime.
  void BindCall(std::shared_ptr<AsyncClientCall> call) { call_ = std::move(call); }

 protected:
  AsyncClientCall* call() const { return call_.get(); }

 private:
  std::shared_ptr<AsyncClientCall> call_;
};

// Drives a unary call.
class ClientUnaryReactor : public ClientReactor {
 public:
  void StartCall() { call()->StartCall(); }
};

// Drives a call whose replies stream.
template <class R>
class ClientReadReactor : public ClientReactor {
 public:
  void StartCall() { call()->StartCall(); }
  void StartRead(R* message) { call()->StartRead(message); }
  // While there is a hold, OnDone() is not called: for operations that are started from elsewhere
  // than the reactor's own functions.
  void AddHold() { call()->AddHolds(1); }
  void AddMultipleHolds(int holds) { call()->AddHolds(holds); }
  void RemoveHold() { call()->RemoveHold(); }
};

// Drives a call whose requests stream.
template <class W>
class ClientWriteReactor : public ClientReactor {
 public:
  void StartCall() { call()->StartCall(); }
  void StartWrite(const W* message) { StartWrite(message, WriteOptions()); }
  void StartWrite(const W* message, WriteOptions options) { call()->StartWrite(message, options); }
  void StartWriteLast(const W* message, WriteOptions options) {
    StartWrite(message, options.set_last_message());
  }
  void StartWritesDone() { call()->StartWritesDone(); }
  void AddHold() { call()->AddHolds(1); }
  void AddMultipleHolds(int holds) { call()->AddHolds(holds); }
  void RemoveHold() { call()->RemoveHold(); }
};

// Drives a call whose requests and replies stream.
template <class W, class R>
class ClientBidiReactor : public ClientReactor {
 public:
  void StartCall() { call()->StartCall(); }
  void StartRead(R* message) { call()->StartRead(message); }
  void StartWrite(const W* message) { StartWrite(message, WriteOptions()); }
  void StartWrite(const W* message, WriteOptions options) { call()->StartWrite(message, options); }
  void StartWriteLast(const W* message, WriteOptions options) {
    StartWrite(message, options.set_last_message());
  }
  void StartWritesDone() { call()->StartWritesDone(); }
  void AddHold() { call()->AddHolds(1); }
  void AddMultipleHolds(int holds) { call()->AddHolds(holds); }
  void RemoveHold() { call()->RemoveHold(); }
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_CLIENT_REACTOR_H_
