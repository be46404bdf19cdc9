// Streaming calls that block, as a client sees them: gRPC's readers and writers.
#ifndef SPOOLRPC_CLIENT_CLIENT_STREAM_H_
#define SPOOLRPC_CLIENT_CLIENT_STREAM_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "spoolrpc/rpc/write_options.h"

namespace spoolrpc {

// A streaming call without its types, which only generated code knows. One thread may read while
// another one writes; otherwise one thread at a time. Every function blocks until the call has come
// as far, or has ended: at its deadline at the latest, or when its server is lost.
class ClientStream {
 public:
  // A call that has not ended is cancelled.
  virtual ~ClientStream() = default;

  // Waits until the server's initial metadata has come, or the call has ended.
  virtual void WaitForInitialMetadata() = 0;
  // The next message. False: there is none, and Finish() says why.
  virtual bool Read(google::protobuf::MessageLite* message) = 0;
  // Sends a message; returns once it may be changed again, which may take until the server has
  // read. False: the call has ended, or no message may follow; Finish() says why.
  virtual bool Write(const google::protobuf::MessageLite& message, WriteOptions options) = 0;
  // Half-closes: no message follows. False as for Write().
  virtual bool WritesDone() = 0;
  // Half-closes if that was not done, drops what was not read, and waits for the call's status.
  virtual absl::Status Finish() = 0;
};

// What the interfaces below have in common.
class ClientStreamingInterface {
 public:
  virtual ~ClientStreamingInterface() = default;
  // See ClientStream::Finish(). Once.
  virtual absl::Status Finish() = 0;
};

template <class R>
class ReaderInterface {
 public:
  virtual ~ReaderInterface() = default;
  // See ClientStream::Read().
  virtual bool Read(R* message) = 0;
};

template <class W>
class WriterInterface {
 public:
  virtual ~WriterInterface() = default;
  // See ClientStream::Write().
  virtual bool Write(const W& message, WriteOptions options) = 0;
  bool Write(const W& message) { return Write(message, WriteOptions()); }
  // The last message: nothing may follow.
  void WriteLast(const W& message, WriteOptions options) {
    Write(message, options.set_last_message());
  }
};

template <class R>
class ClientReaderInterface : public ClientStreamingInterface, public ReaderInterface<R> {
 public:
  virtual void WaitForInitialMetadata() = 0;
};

template <class W>
class ClientWriterInterface : public ClientStreamingInterface, public WriterInterface<W> {
 public:
  virtual bool WritesDone() = 0;
};

template <class W, class R>
class ClientReaderWriterInterface : public ClientStreamingInterface,
                                    public WriterInterface<W>,
                                    public ReaderInterface<R> {
 public:
  virtual void WaitForInitialMetadata() = 0;
  virtual bool WritesDone() = 0;
};

// The client's side of a call whose replies stream. The context must outlive it.
template <class R>
class ClientReader final : public ClientReaderInterface<R> {
 public:
  explicit ClientReader(std::unique_ptr<ClientStream> stream) : stream_(std::move(stream)) {}

  void WaitForInitialMetadata() override { stream_->WaitForInitialMetadata(); }
  bool Read(R* message) override { return stream_->Read(message); }
  absl::Status Finish() override { return stream_->Finish(); }

 private:
  const std::unique_ptr<ClientStream> stream_;
};

// The client's side of a call whose requests stream. The context and the reply, which is there
// after Finish(), must outlive it.
template <class W>
class ClientWriter final : public ClientWriterInterface<W> {
 public:
  explicit ClientWriter(std::unique_ptr<ClientStream> stream) : stream_(std::move(stream)) {}

  void WaitForInitialMetadata() { stream_->WaitForInitialMetadata(); }
  using WriterInterface<W>::Write;
  bool Write(const W& message, WriteOptions options) override {
    return stream_->Write(message, options);
  }
  bool WritesDone() override { return stream_->WritesDone(); }
  absl::Status Finish() override { return stream_->Finish(); }

 private:
  const std::unique_ptr<ClientStream> stream_;
};

// The client's side of a call whose requests and replies stream. The context must outlive it.
template <class W, class R>
class ClientReaderWriter final : public ClientReaderWriterInterface<W, R> {
 public:
  explicit ClientReaderWriter(std::unique_ptr<ClientStream> stream) : stream_(std::move(stream)) {}

  void WaitForInitialMetadata() override { stream_->WaitForInitialMetadata(); }
  bool Read(R* message) override { return stream_->Read(message); }
  using WriterInterface<W>::Write;
  bool Write(const W& message, WriteOptions options) override {
    return stream_->Write(message, options);
  }
  bool WritesDone() override { return stream_->WritesDone(); }
  absl::Status Finish() override { return stream_->Finish(); }

 private:
  const std::unique_ptr<ClientStream> stream_;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_CLIENT_CLIENT_STREAM_H_
