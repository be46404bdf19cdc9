// A small curl whose requests go through a spool.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "examples/http_fetch/client_options.h"
#include "examples/http_fetch/http_fetch.spoolrpc.pb.h"
#include "examples/http_fetch/printable.h"
#include "spoolrpc/spoolrpc.h"

namespace {

using http_fetch::ClientOptions;
using http_fetch::FetchReply;

// What kClientHelp says.
constexpr int kOther = 1;
constexpr int kUsage = 2;
constexpr int kHttpError = 22;
constexpr int kCannotWrite = 23;
constexpr int kNoServer = 69;

int ExitStatusOf(const absl::Status& status) {
  if (const auto info = spoolrpc::GetErrorInfo(status); info.has_value()) {
    switch (info->reason()) {
      case spoolrpc::ErrorInfo::NO_SERVER:
      case spoolrpc::ErrorInfo::ACK_TIMEOUT:
      case spoolrpc::ErrorInfo::SERVER_LOST:
      case spoolrpc::ErrorInfo::NOT_STARTED:
      case spoolrpc::ErrorInfo::DISCARDED:
        return kNoServer;
      case spoolrpc::ErrorInfo::DEADLINE:
        return 28;
      case spoolrpc::ErrorInfo::MESSAGE_TOO_LARGE:
        return 63;
      default:
        return kOther;
    }
  }
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 3;
    case absl::StatusCode::kUnavailable:
      return 7;
    case absl::StatusCode::kPermissionDenied:
      return 9;
    case absl::StatusCode::kDeadlineExceeded:
      return 28;
    case absl::StatusCode::kFailedPrecondition:
      return 47;
    case absl::StatusCode::kResourceExhausted:
      return 63;
    default:
      return kOther;
  }
}

int Fail(const std::string& message, int exit_status) {
  fprintf(stderr, "fetch_client: %s\n", message.c_str());
  return exit_status;
}

// The answer's head, as it came but for the line ends.
std::string HeadOf(const FetchReply& reply) {
  std::string head = absl::StrCat(reply.status_line(), "\n");
  for (const auto& header : reply.headers()) {
    absl::StrAppend(&head, header.name(), ": ", header.value(), "\n");
  }
  return absl::StrCat(head, "\n");
}

bool WriteAll(FILE* file, const std::string& bytes) {
  return fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
}

int WriteOutput(const ClientOptions& options, const FetchReply& reply) {
  const bool to_stdout = options.output.empty() || options.output == "-";
  FILE* const file = to_stdout ? stdout : fopen(options.output.c_str(), "we");
  bool written = file != nullptr && (!options.include_head || WriteAll(file, HeadOf(reply))) &&
                 WriteAll(file, reply.body()) && fflush(file) == 0;
  int error = errno;
  if (file != nullptr && !to_stdout && fclose(file) != 0 && written) {
    written = false;
    error = errno;
  }
  if (written) return 0;
  return Fail(
      absl::StrCat("write ", to_stdout ? "standard output" : options.output, ": ", strerror(error)),
      kCannotWrite);
}

int Fetch(const ClientOptions& options) {
  spoolrpc::ChannelOptions channel_options;
  // The limit is one of the body; the rest of a reply is at most the server's 512 KiB.
  channel_options.max_receive_message_size = options.max_reply_bytes + 512 * 1024;
  const auto channel = spoolrpc::CreateChannel(options.spool, channel_options);
  if (!channel.ok()) return Fail(channel.status().ToString(), kUsage);
  const auto stub = http_fetch::HttpFetch::NewStub(*channel);

  spoolrpc::ClientContext context;
  context.set_ack_timeout(options.ack_timeout);
  if (options.max_time.has_value()) context.set_timeout(*options.max_time);
  FetchReply reply;
  const absl::Status status = stub->Fetch(&context, options.request, &reply);
  if (!status.ok()) {
    return Fail(absl::StrCat(absl::StatusCodeToString(status.code()), ": ",
                             http_fetch::Printable(status.message(), 4000)),
                ExitStatusOf(status));
  }
  // Web servers may send what terminals obey.
  const std::string summary = absl::StrCat(
      http_fetch::Printable(reply.status_line()), ", ", reply.body().size(), " bytes from ",
      http_fetch::Printable(reply.url()), reply.redirects() == 0 ? "" : " after ",
      reply.redirects() == 0 ? "" : absl::StrCat(reply.redirects()),
      reply.redirects() == 0 ? "" : (reply.redirects() == 1 ? " redirect" : " redirects"));
  if (options.fail_on_error && reply.status() >= 400) return Fail(summary, kHttpError);
  if (!options.silent) fprintf(stderr, "%s\n", summary.c_str());
  return WriteOutput(options, reply);
}

}  // namespace

int main(int argc, char** argv) {
  const absl::StatusOr<ClientOptions> options = http_fetch::ParseCommandLine(argc, argv);
  if (!options.ok()) return Fail(std::string(options.status().message()), kUsage);
  if (options->help) {
    fputs(http_fetch::kClientHelp, stdout);
    return fflush(stdout) == 0 ? 0 : kCannotWrite;
  }
  return Fetch(*options);
}
