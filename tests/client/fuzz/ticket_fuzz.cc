// Ticket::Parse() of any text. Input: the text, as it is.
#include "spoolrpc/client/ticket.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text = spoolrpc::fuzz::FuzzInput(data, size).TakeRest();
  const auto ticket = spoolrpc::Ticket::Parse(text);
  if (ticket.ok()) {
    FUZZ_CHECK(ticket->bytes().size() == 16 && ticket->ToString() == text);
    return 0;
  }
  FUZZ_CHECK(absl::IsInvalidArgument(ticket.status()));
  FUZZ_CHECK(ticket.status().message().size() < 1000);
  for (const char c : ticket.status().message()) FUZZ_CHECK(c >= 0x20 && c < 0x7f);
  return 0;
}
