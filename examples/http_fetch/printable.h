// Text of others in our messages.
#ifndef EXAMPLES_HTTP_FETCH_PRINTABLE_H_
#define EXAMPLES_HTTP_FETCH_PRINTABLE_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace http_fetch {

// `text` with \xNN for each byte that is no printable ASCII, so that no terminal and no log obeys
// it; of longer texts the beginning and "...". Not to be read back.
std::string Printable(absl::string_view text, size_t max_size = 200);

}  // namespace http_fetch

#endif  // EXAMPLES_HTTP_FETCH_PRINTABLE_H_
