// What a writer says about one message.
#ifndef SPOOLRPC_RPC_WRITE_OPTIONS_H_
#define SPOOLRPC_RPC_WRITE_OPTIONS_H_

namespace spoolrpc {

// As grpc::WriteOptions.
class WriteOptions {
 public:
  // The message is sent as it is, even if the call compresses.
  WriteOptions& set_no_compression() {
    no_compression_ = true;
    return *this;
  }
  WriteOptions& clear_no_compression() {
    no_compression_ = false;
    return *this;
  }
  bool get_no_compression() const { return no_compression_; }

  // More will follow soon: the message may wait for the next one, or for the end, and go out with
  // it in one operation of the file system.
  WriteOptions& set_buffer_hint() {
    buffer_hint_ = true;
    return *this;
  }
  WriteOptions& clear_buffer_hint() {
    buffer_hint_ = false;
    return *this;
  }
  bool get_buffer_hint() const { return buffer_hint_; }

  // No message follows: a client half-closes with it, a server may send it with the status.
  WriteOptions& set_last_message() {
    last_message_ = true;
    return *this;
  }
  WriteOptions& clear_last_message() {
    last_message_ = false;
    return *this;
  }
  bool is_last_message() const { return last_message_; }

 private:
  bool no_compression_ = false;
  bool buffer_hint_ = false;
  bool last_message_ = false;
};

}  // namespace spoolrpc

#endif  // SPOOLRPC_RPC_WRITE_OPTIONS_H_
