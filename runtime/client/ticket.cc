#include "spoolrpc/client/ticket.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc {
namespace {
constexpr size_t kTicketSize = 16;
}  // namespace

absl::StatusOr<Ticket> Ticket::Parse(absl::string_view text) {
  if (text.size() != 2 * kTicketSize ||
      text.find_first_not_of("0123456789abcdef") != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", absl::CHexEscape(text.substr(0, 100)),
        "' is not a ticket; one has 32 hex digits, such as 18a3b2c4d5e6f7080123456789abcdef"));
  }
  return Ticket(absl::HexStringToBytes(text));
}

std::string Ticket::ToString() const { return absl::BytesToHexString(bytes_); }

}  // namespace spoolrpc
