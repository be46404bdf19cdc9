#include "examples/http_fetch/transfer.h"

#include <curl/curl.h>
#include <limits.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "examples/http_fetch/printable.h"
#include "examples/http_fetch/request_head.h"

namespace http_fetch {
namespace {

constexpr size_t kMaxHead = 256 * 1024;
// How soon a cancelled transfer notices.
constexpr int kLookMilliseconds = 50;

template <class Handle, auto kCleanup>
struct Cleaner {
  void operator()(Handle* handle) const { kCleanup(handle); }
};
template <class Handle, auto kCleanup>
using Owned = std::unique_ptr<Handle, Cleaner<Handle, kCleanup>>;

struct Answer {
  FetchReply* reply;
  std::string* body;
  size_t max_body;
  size_t head_size = 0;
  bool head_too_large = false;
  bool body_too_large = false;
};

size_t TakeHeadLine(char* bytes, size_t size, size_t count, void* user) {
  auto* answer = static_cast<Answer*>(user);
  const size_t length = size * count;
  answer->head_size += length;
  if (answer->head_size > kMaxHead) {
    answer->head_too_large = true;
    return 0;
  }
  AddAnswerLine(absl::string_view(bytes, length), answer->reply);
  return length;
}

size_t TakeBody(char* bytes, size_t size, size_t count, void* user) {
  auto* answer = static_cast<Answer*>(user);
  const size_t length = size * count;
  if (length > answer->max_body - answer->body->size()) {
    answer->body_too_large = true;
    return 0;
  }
  answer->body->append(bytes, length);
  return length;
}

long MillisecondsUntil(absl::Time deadline) {
  const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
  return static_cast<long>(std::clamp<int64_t>(left, 1, INT_MAX));
}

void SetOptions(CURL* curl, const HttpUrl& url, const TransferOptions& options, curl_slist* headers,
                Answer* answer, char* error_text) {
  curl_easy_setopt(curl, CURLOPT_CURLU, url.handle());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  // A name that is still being looked up does not hold up who has given up.
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "spoolrpc-http_fetch");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &TakeHeadLine);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &TakeBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, MillisecondsUntil(options.deadline));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_text);

  // Where the answer says its length it is refused before its body comes.
  if (options.method != "HEAD") {
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE,
                     static_cast<curl_off_t>(std::max<int64_t>(options.max_reply_bytes, 1)));
  }
  const bool sends_body = !options.body.empty() || options.method == "POST" ||
                          options.method == "PUT" || options.method == "PATCH";
  if (sends_body) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(options.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, options.body.empty() ? "" : options.body.data());
  } else if (options.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, options.method.c_str());
}

// Runs the transfer to its end or to a reason to stop.
absl::Status Run(CURLM* multi, CURL* curl, const TransferOptions& options, CURLcode* result) {
  if (const CURLMcode code = curl_multi_add_handle(multi, curl); code != CURLM_OK) {
    return absl::InternalError(absl::StrCat("libcurl: ", curl_multi_strerror(code)));
  }
  for (;;) {
    int running = 0;
    CURLMcode code = curl_multi_perform(multi, &running);
    if (code == CURLM_OK && running > 0) {
      if (options.cancelled()) return absl::CancelledError("nobody waits for it any more");
      code = curl_multi_poll(multi, nullptr, 0, kLookMilliseconds, nullptr);
    }
    if (code != CURLM_OK) {
      return absl::InternalError(absl::StrCat("libcurl: ", curl_multi_strerror(code)));
    }
    if (running == 0) break;
  }
  int left = 0;
  const CURLMsg* message = curl_multi_info_read(multi, &left);
  if (message == nullptr) return absl::InternalError("libcurl ended a transfer without a result");
  *result = message->data.result;
  return absl::OkStatus();
}

absl::Status StatusOf(CURLcode result, absl::string_view text, const HttpUrl& url,
                      const Answer& answer, int64_t max_reply_bytes) {
  if (result == CURLE_OK) return absl::OkStatus();
  if (answer.head_too_large) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the answer's head is larger than ", kMaxHead, " bytes"));
  }
  if (answer.body_too_large || result == CURLE_FILESIZE_EXCEEDED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the answer is larger than ", max_reply_bytes,
                     " bytes; ask for a part of it with a Range header, or raise the limit of the "
                     "client or of the server (--max_reply_bytes)"));
  }
  switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError(absl::StrCat("no whole answer in time: ", text));
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return absl::FailedPreconditionError(
          absl::StrCat("the certificate of host ", url.host(), " cannot be verified: ", text,
                       "; the certificates that the server's machine trusts count"));
    case CURLE_OUT_OF_MEMORY:
      return absl::ResourceExhaustedError("the server has no memory for the answer");
    case CURLE_URL_MALFORMAT:
      return absl::InvalidArgumentError(text);
    default:
      // Names that cannot be resolved, refused and broken connections, answers that are no HTTP.
      return absl::UnavailableError(absl::StrCat(text, " (curl error ", result, ")"));
  }
}

absl::Status Named(const absl::Status& status, const std::string& method, const HttpUrl& url) {
  return absl::Status(status.code(), absl::StrCat(method, " ", Printable(url.WithoutQuery()), ": ",
                                                  status.message()));
}

}  // namespace

absl::Status Transfer(const HttpUrl& url, const TransferOptions& options, FetchReply* reply,
                      std::string* redirect) {
  reply->Clear();
  redirect->clear();
  Answer answer{reply, reply->mutable_body(),
                static_cast<size_t>(std::max<int64_t>(options.max_reply_bytes, 0))};
  char error_text[CURL_ERROR_SIZE] = "";
  Owned<curl_slist, curl_slist_free_all> headers;
  for (const std::string& line : options.header_lines) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr)
      return Named(absl::ResourceExhaustedError("no memory"), options.method, url);
    headers.release();
    headers.reset(longer);
  }
  const Owned<CURLM, curl_multi_cleanup> multi(curl_multi_init());
  const Owned<CURL, curl_easy_cleanup> curl(curl_easy_init());
  if (multi == nullptr || curl == nullptr) {
    return Named(absl::ResourceExhaustedError("no memory"), options.method, url);
  }
  SetOptions(curl.get(), url, options, headers.get(), &answer, error_text);

  CURLcode result = CURLE_OK;
  absl::Status status = Run(multi.get(), curl.get(), options, &result);
  curl_multi_remove_handle(multi.get(), curl.get());
  if (status.ok()) {
    const std::string text =
        Printable(error_text[0] != '\0' ? error_text : curl_easy_strerror(result));
    status = StatusOf(result, text, url, answer, options.max_reply_bytes);
  }
  if (!status.ok()) return Named(status, options.method, url);

  long code = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &code);
  reply->set_status(static_cast<int>(code));
  reply->set_url(url.text());
  const char* location = nullptr;
  curl_easy_getinfo(curl.get(), CURLINFO_REDIRECT_URL, &location);
  if (location != nullptr) *redirect = location;
  return absl::OkStatus();
}

}  // namespace http_fetch
