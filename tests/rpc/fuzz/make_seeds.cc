// Writes the seed corpora: make_seeds DIRECTORY (tests/rpc/fuzz/corpus).
#include <stdio.h>

#include <string>

#include "google/rpc/status.pb.h"
#include "spoolrpc/errors.pb.h"
#include "spoolrpc/wire.pb.h"
#include "tests/fuzz/seeds.h"

namespace spoolrpc::rpc {
namespace {

using fuzz::Bytes;
using fuzz::Save;

// With the header's size before it, and for the target to put it there.
void SavePayload(const std::string& to, const google::protobuf::Message& header) {
  const std::string bytes = header.SerializeAsString();
  const std::string message("\x0a\x05hello", 7);
  Save(to + "/whole",
       Bytes<uint8_t>(0) + Bytes<uint16_t>(0) + Bytes<uint32_t>(bytes.size()) + bytes + message);
  Save(to + "/mended", Bytes<uint8_t>(1) + Bytes<uint16_t>(bytes.size()) + bytes + message);
  Save(to + "/no_message", Bytes<uint8_t>(1) + Bytes<uint16_t>(bytes.size()) + bytes);
  Save(to + "/too_long", Bytes<uint8_t>(0) + Bytes<uint16_t>(0) + Bytes<uint32_t>(~0u) + bytes);
}

void AddPair(const std::string& key, const std::string& value, wire::Metadata* to) {
  to->set_key(key);
  to->set_value(value);
}

void SaveAll(const std::string& to) {
  wire::CallHeader call;
  call.set_method_id(1);
  call.set_method("/package.Service/Method");
  call.set_timeout_ns(1'000'000'000);
  call.set_message_size(100);
  AddPair("user-agent", "text", call.add_metadata());
  AddPair("trace-bin", std::string("\0\xff", 2), call.add_metadata());
  AddPair("Not allowed", "x", call.add_metadata());
  SavePayload(to + "/call", call);

  google::rpc::Status whole;
  whole.set_code(9);
  whole.set_message("said twice");
  whole.add_details()->set_type_url("type.googleapis.com/p.Detail");
  whole.mutable_details(0)->set_value("\x08\x01");
  spoolrpc::ErrorInfo forged;
  forged.set_reason(spoolrpc::ErrorInfo::NO_SERVER);
  whole.add_details()->PackFrom(forged);
  wire::ReplyHeader reply;
  reply.set_code(9);
  reply.set_message("why \xff");
  reply.set_details(whole.SerializeAsString());
  AddPair("k", "v", reply.add_initial_metadata());
  AddPair("k-bin", "\x01", reply.add_trailing_metadata());
  SavePayload(to + "/reply", reply);
  Save(to + "/reply/status", Bytes<uint8_t>(2) + Bytes<uint16_t>(3) + Bytes<uint8_t>(9) + "why" +
                                 whole.SerializeAsString());
  Save(to + "/reply/unknown_code",
       Bytes<uint8_t>(2) + Bytes<uint16_t>(3) + Bytes<uint8_t>(0x99) + "why");

  Save(to + "/reassembly/fits", Bytes<uint16_t>(10) + Bytes<uint16_t>(4) + "abcd" +
                                    Bytes<uint16_t>(0) + Bytes<uint16_t>(6) + "efghij");
  Save(to + "/reassembly/too_much", Bytes<uint16_t>(10) + Bytes<uint16_t>(4) + "abcd" +
                                        Bytes<uint16_t>(7) + "efghijk" + Bytes<uint16_t>(1) + "l");
}

}  // namespace
}  // namespace spoolrpc::rpc

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: make_seeds DIRECTORY\n");
    return 2;
  }
  spoolrpc::rpc::SaveAll(argv[1]);
  return 0;
}
