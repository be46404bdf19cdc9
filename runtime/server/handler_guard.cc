#include "spoolrpc/server/handler_guard.h"

#include <cxxabi.h>
#include <stdlib.h>

#include <exception>
#include <typeinfo>

#include "absl/strings/str_cat.h"
#include "spoolrpc/rpc/error.h"

namespace spoolrpc::server {
namespace {

std::string TypeName(const std::type_info* type) {
  if (type == nullptr) return "unknown";
  int status = 0;
  char* const name = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string result = status == 0 && name != nullptr ? name : type->name();
  free(name);
  return result;
}

absl::Status FromException(const std::string& method, const std::string& type,
                           const std::string& text) {
  absl::Status status = absl::UnknownError(
      absl::StrCat(method, ": the handler threw ", type, text.empty() ? "" : ": ", text));
  ExceptionInfo info;
  info.set_type(type);
  info.set_text(rpc::ToUtf8(text));
  AddDetail(&status, info);
  return status;
}

}  // namespace

absl::Status RunGuarded(const std::string& method, const std::function<absl::Status()>& body,
                        bool* threw) {
  if (threw != nullptr) *threw = true;
  try {
    absl::Status status = body();
    if (threw != nullptr) *threw = false;
    return status;
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread is being cancelled
  } catch (const std::exception& e) {
    return FromException(method, TypeName(&typeid(e)), e.what());
  } catch (...) {
    return FromException(method, TypeName(abi::__cxa_current_exception_type()), "");
  }
}

}  // namespace spoolrpc::server
