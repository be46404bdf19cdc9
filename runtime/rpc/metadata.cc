#include "spoolrpc/rpc/metadata.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace spoolrpc::rpc {
namespace {

bool KeyIsValid(const std::string& key) {
  return !key.empty() &&
         key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") == std::string::npos;
}

bool ValueIsValid(const std::string& key, const std::string& value) {
  if (absl::EndsWith(key, "-bin")) return true;
  for (const char c : value) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

// Of a pair beside its key and value: three tags and their lengths, at most.
constexpr size_t kPairOverhead = 12;

}  // namespace

absl::Status CheckMetadata(const Metadata& metadata) {
  size_t size = 0;
  for (const auto& [key, value] : metadata) {
    size += key.size() + value.size() + kPairOverhead;
    if (!KeyIsValid(key)) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata key '", absl::CHexEscape(key),
                       "': only lower-case letters, digits, '_', '-' and '.' are allowed"));
    }
    if (!ValueIsValid(key, value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "metadata '", key, "': the value is not printable ASCII; give the key the suffix -bin"));
    }
  }
  if (size > kMaxMetadataSize) {
    return absl::ResourceExhaustedError(
        absl::StrCat("metadata: ", size, " bytes (each pair counts ", kPairOverhead,
                     " beside its key and value), more than ", kMaxMetadataSize));
  }
  return absl::OkStatus();
}

void EncodeMetadata(const Metadata& metadata,
                    google::protobuf::RepeatedPtrField<wire::Metadata>* out) {
  for (const auto& [key, value] : metadata) {
    wire::Metadata* const pair = out->Add();
    pair->set_key(key);
    pair->set_value(value);
  }
}

Metadata DecodeMetadata(const google::protobuf::RepeatedPtrField<wire::Metadata>& in) {
  Metadata metadata;
  for (const wire::Metadata& pair : in) {
    if (KeyIsValid(pair.key()) && ValueIsValid(pair.key(), pair.value())) {
      metadata.emplace(pair.key(), pair.value());
    }
  }
  return metadata;
}

}  // namespace spoolrpc::rpc
