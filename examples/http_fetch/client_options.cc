#include "examples/http_fetch/client_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace http_fetch {

const char kClientHelp[] = R"(usage: fetch_client URL [OPTION...]

Fetches a URL through the fetch_server of a spool. The body goes to standard output,
a line on what came to standard error.

  -o, --output FILE       write the body to FILE, once it has come whole
      --spool SPOOL       spool:/path or a plain path; default: $SPOOLRPC_DIR, or
                          ~/.cache/spoolrpc
  -L, --location          follow redirects, up to 10, to hosts that the server allows
  -X, --request METHOD    default: GET, with -d POST
  -I, --head              HEAD; prints the head
  -H, --header LINE       "Name: value"; may be repeated
  -d, --data DATA         the body to send; @FILE: what is in FILE, @-: standard input
  -i, --include           print the head before the body
  -f, --fail              an answer of 400 and above is an error: no output, status 22
  -m, --max-time SECONDS  give up after so long; default: the server decides
      --ack-timeout SECONDS
                          how long to wait for a server to take the call; default: 20
      --max-reply-bytes N default: 67108864
  -s, --silent            no line on what came
  -h, --help

Exit status, curl's where curl has one:
  0   there is an answer, whatever its HTTP status
  2   wrong usage
  3   the URL, the method or a header is refused
  7   no answer from the web server: no such name, no connection, it broke
  9   the host is not on the server's allow-list
  22  with -f: an HTTP status of 400 or above
  23  the output cannot be written
  28  it took too long
  47  too many redirects, or a certificate that cannot be verified
  63  the answer is larger than a limit
  69  no fetch_server took the call, or it was lost
  1   anything else
)";

namespace {

enum LongOnly { kSpool = 256, kAckTimeout, kMaxReplyBytes };

const option kOptions[] = {
    {"output", required_argument, nullptr, 'o'},
    {"spool", required_argument, nullptr, kSpool},
    {"location", no_argument, nullptr, 'L'},
    {"request", required_argument, nullptr, 'X'},
    {"head", no_argument, nullptr, 'I'},
    {"header", required_argument, nullptr, 'H'},
    {"data", required_argument, nullptr, 'd'},
    {"include", no_argument, nullptr, 'i'},
    {"fail", no_argument, nullptr, 'f'},
    {"max-time", required_argument, nullptr, 'm'},
    {"ack-timeout", required_argument, nullptr, kAckTimeout},
    {"max-reply-bytes", required_argument, nullptr, kMaxReplyBytes},
    {"silent", no_argument, nullptr, 's'},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

constexpr int kRedirects = 10;

absl::StatusOr<absl::Duration> ParseSeconds(const char* name, const char* text) {
  double seconds = 0;
  if (!absl::SimpleAtod(text, &seconds) || !(seconds > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " ", text, ": not a number of seconds above 0"));
  }
  return absl::Seconds(seconds);
}

absl::StatusOr<std::string> ReadBody(absl::string_view data) {
  if (!absl::ConsumePrefix(&data, "@")) return std::string(data);
  const std::string path(data);
  FILE* const file = path == "-" ? stdin : fopen(path.c_str(), "re");
  std::string body;
  char bytes[65536];
  bool failed = file == nullptr;
  while (!failed) {
    const size_t got = fread(bytes, 1, sizeof(bytes), file);
    body.append(bytes, got);
    if (got == sizeof(bytes)) continue;
    failed = ferror(file) != 0;
    break;
  }
  const int error = errno;
  if (file != nullptr && file != stdin) fclose(file);
  if (failed) {
    return absl::InvalidArgumentError(absl::StrCat("read ", path, ": ", strerror(error)));
  }
  return body;
}

absl::Status AddHeader(absl::string_view line, FetchRequest* request) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(line, absl::MaxSplits(':', 1));
  if (!absl::StrContains(line, ":")) {
    return absl::InvalidArgumentError(absl::StrCat("--header ", line, ": write \"Name: value\""));
  }
  Header* header = request->add_headers();
  header->set_name(std::string(parts.first));
  header->set_value(std::string(absl::StripLeadingAsciiWhitespace(parts.second)));
  return absl::OkStatus();
}

bool HasHeader(const FetchRequest& request, absl::string_view name) {
  for (const Header& header : request.headers()) {
    if (absl::EqualsIgnoreCase(header.name(), name)) return true;
  }
  return false;
}

// One option with its argument.
absl::Status Apply(int letter, const char* argument, ClientOptions* options) {
  switch (letter) {
    case 'o':
      options->output = argument;
      return absl::OkStatus();
    case kSpool:
      options->spool = argument;
      return absl::OkStatus();
    case 'L':
      options->request.set_max_redirects(kRedirects);
      return absl::OkStatus();
    case 'X':
      options->request.set_method(argument);
      return absl::OkStatus();
    case 'I':
      options->request.set_method("HEAD");
      options->include_head = true;
      return absl::OkStatus();
    case 'H':
      return AddHeader(argument, &options->request);
    case 'd': {
      absl::StatusOr<std::string> body = ReadBody(argument);
      if (!body.ok()) return body.status();
      options->request.set_body(*std::move(body));
      if (options->request.method().empty()) options->request.set_method("POST");
      return absl::OkStatus();
    }
    case 'i':
      options->include_head = true;
      return absl::OkStatus();
    case 'f':
      options->fail_on_error = true;
      return absl::OkStatus();
    case 'm': {
      absl::StatusOr<absl::Duration> seconds = ParseSeconds("--max-time", argument);
      if (!seconds.ok()) return seconds.status();
      options->max_time = *seconds;
      return absl::OkStatus();
    }
    case kAckTimeout: {
      absl::StatusOr<absl::Duration> seconds = ParseSeconds("--ack-timeout", argument);
      if (!seconds.ok()) return seconds.status();
      options->ack_timeout = *seconds;
      return absl::OkStatus();
    }
    case kMaxReplyBytes:
      if (!absl::SimpleAtoi(argument, &options->max_reply_bytes) || options->max_reply_bytes < 1 ||
          options->max_reply_bytes > int64_t{2047} << 20) {
        return absl::InvalidArgumentError(
            absl::StrCat("--max-reply-bytes ", argument, ": not 1 to 2146435072"));
      }
      return absl::OkStatus();
    case 's':
      options->silent = true;
      return absl::OkStatus();
    case 'h':
      options->help = true;
      return absl::OkStatus();
    default:
      // getopt_long() has told what.
      return absl::InvalidArgumentError("`fetch_client --help` lists the options");
  }
}

}  // namespace

absl::StatusOr<ClientOptions> ParseCommandLine(int argc, char** argv) {
  ClientOptions options;
  for (;;) {
    const int letter = getopt_long(argc, argv, "o:LX:IH:d:ifm:sh", kOptions, nullptr);
    if (letter == -1) break;
    if (absl::Status s = Apply(letter, optarg, &options); !s.ok()) return s;
  }
  if (options.help) return options;
  if (argc - optind != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        argc == optind ? "which URL?" : "one URL at a time;", " `fetch_client --help` says more"));
  }
  FetchRequest& request = options.request;
  request.set_url(argv[optind]);
  request.set_max_reply_bytes(options.max_reply_bytes);
  // What curl says of -d.
  if (!request.body().empty() && !HasHeader(request, "Content-Type")) {
    Header* header = request.add_headers();
    header->set_name("Content-Type");
    header->set_value("application/x-www-form-urlencoded");
  }
  return options;
}

}  // namespace http_fetch
