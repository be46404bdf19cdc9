// Streaming calls that block, as a handler sees them: gRPC's readers and writers.
#ifndef SPOOLRPC_SERVER_SERVER_STREAM_H_
#define SPOOLRPC_SERVER_SERVER_STREAM_H_

#include "google/protobuf/message_lite.h"
#include "spoolrpc/rpc/write_options.h"

namespace spoolrpc {

// A streaming call without its types, which only generated code knows. Lives as long as the handler
// runs. One thread may read while another one writes; otherwise one thread at a time.
class ServerStream {
 public:
  virtual ~ServerStream() = default;

  // Sends the context's initial metadata, which otherwise goes with the first message or the
  // status. At most once.
  virtual void SendInitialMetadata() = 0;
  // The next message; blocks until it is there. False: the client sends no more, or the call was
  // cancelled.
  virtual bool Read(google::protobuf::MessageLite* message) = 0;
  // Sends a message; blocks until it may be changed again, which may take until the client has
  // read. False: nobody waits for it any more.
  virtual bool Write(const google::protobuf::MessageLite& message, WriteOptions options) = 0;
  // Makes a Read() that waits return false, and all later ones. Thread-safe.
  virtual void StopReading() = 0;
};

// The handler's side of a call whose requests stream.
template <class R>
class ServerReader final {
 public:
  explicit ServerReader(ServerStream* stream) : stream_(stream) {}

  void SendInitialMetadata() { stream_->SendInitialMetadata(); }
  bool Read(R* message) { return stream_->Read(message); }

 private:
  ServerStream* const stream_;
};

// The handler's side of a call whose replies stream.
template <class W>
class ServerWriter final {
 public:
  explicit ServerWriter(ServerStream* stream) : stream_(stream) {}

  void SendInitialMetadata() { stream_->SendInitialMetadata(); }
  bool Write(const W& message, WriteOptions options) { return stream_->Write(message, options); }
  bool Write(const W& message) { return Write(message, WriteOptions()); }
  void WriteLast(const W& message, WriteOptions options) {
    Write(message, options.set_last_message());
  }

 private:
  ServerStream* const stream_;
};

// The handler's side of a call whose requests and replies stream.
template <class W, class R>
class ServerReaderWriter final {
 public:
  explicit ServerReaderWriter(ServerStream* stream) : stream_(stream) {}

  void SendInitialMetadata() { stream_->SendInitialMetadata(); }
  bool Read(R* message) { return stream_->Read(message); }
  bool Write(const W& message, WriteOptions options) { return stream_->Write(message, options); }
  bool Write(const W& message) { return Write(message, WriteOptions()); }
  void WriteLast(const W& message, WriteOptions options) {
    Write(message, options.set_last_message());
  }

 private:
  ServerStream* const stream_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_SERVER_SERVER_STREAM_H_
