#include "spoolrpc/spool/record_file.h"

#include <string.h>
#include <xxhash.h>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/spool/layout.h"
#include "spoolrpc/spool/reason.h"

namespace spoolrpc::spool {
namespace {

constexpr absl::string_view kMagic = "SPOOLREC";

template <class T>
void Put(T value, std::string* to) {
  to->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <class T>
T Load(absl::string_view bytes, size_t offset) {
  T value;
  memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

// For messages: a name may be as long as the record.
absl::string_view Short(absl::string_view name) { return name.substr(0, 200); }

// Who reads a record finds services and methods by their names: none may be there twice.
absl::Status CheckNames(const ServerRecord& record) {
  absl::flat_hash_set<absl::string_view> services;
  for (const ServiceRecord& service : record.services()) {
    if (!services.insert(service.name()).second) {
      return absl::DataLossError(
          absl::StrCat("record: the service ", Short(service.name()), " twice"));
    }
    absl::flat_hash_set<absl::string_view> methods;
    for (const MethodRecord& method : service.methods()) {
      if (!methods.insert(method.name()).second) {
        return absl::DataLossError(absl::StrCat("record: the method ", Short(service.name()), "/",
                                                Short(method.name()), " twice"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeRecord(RecordKind kind, const google::protobuf::Message& message) {
  const std::string payload = message.SerializeAsString();
  std::string out(kMagic);
  Put<uint16_t>(kSpoolFormatVersion, &out);
  Put<uint16_t>(static_cast<uint16_t>(kind), &out);
  Put<uint32_t>(payload.size(), &out);
  Put<uint64_t>(XXH3_64bits_withSeed(payload.data(), payload.size(), static_cast<uint64_t>(kind)),
                &out);
  return out + payload;
}

absl::StatusOr<RecordKind> PeekRecordKind(absl::string_view bytes) {
  if (bytes.size() < kRecordHeaderSize) {
    return absl::DataLossError(absl::StrCat("record: only ", bytes.size(), " bytes"));
  }
  if (bytes.substr(0, 8) != kMagic) return absl::DataLossError("record: wrong magic");
  return static_cast<RecordKind>(Load<uint16_t>(bytes, 10));
}

absl::Status DecodeRecord(absl::string_view bytes, RecordKind kind,
                          google::protobuf::Message* message) {
  absl::string_view rest;
  if (absl::Status s = DecodeRecordFront(bytes, kind, message, &rest); !s.ok()) return s;
  if (!rest.empty()) {
    return absl::DataLossError(absl::StrCat("record: ", bytes.size() - kRecordHeaderSize,
                                            " bytes of message, not ", Load<uint32_t>(bytes, 12)));
  }
  return absl::OkStatus();
}

absl::Status DecodeRecordFront(absl::string_view bytes, RecordKind kind,
                               google::protobuf::Message* message, absl::string_view* rest) {
  const auto found = PeekRecordKind(bytes);
  if (!found.ok()) return found.status();
  const uint16_t version = Load<uint16_t>(bytes, 8);
  if (version != kSpoolFormatVersion) {
    return WithReason(absl::FailedPreconditionError(
                          absl::StrCat("record: format version ", version, ", this software (",
                                       kSoftwareVersion, ") knows ", kSpoolFormatVersion,
                                       "; use the newer software, or another "
                                       "spool")),
                      ErrorInfo::VERSION_MISMATCH);
  }
  if (*found != kind) {
    return absl::DataLossError(absl::StrCat("record: kind ", static_cast<int>(*found), " where ",
                                            static_cast<int>(kind), " belongs"));
  }
  absl::string_view payload = bytes.substr(kRecordHeaderSize);
  const uint32_t length = Load<uint32_t>(bytes, 12);
  if (length > payload.size()) {
    return absl::DataLossError(
        absl::StrCat("record: ", payload.size(), " bytes of message, not ", length));
  }
  *rest = payload.substr(length);
  payload = payload.substr(0, length);
  if (Load<uint64_t>(bytes, 16) !=
      XXH3_64bits_withSeed(payload.data(), payload.size(), static_cast<uint64_t>(kind))) {
    return absl::DataLossError("record: wrong checksum");
  }
  if (!message->ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return absl::DataLossError(
        absl::StrCat("record: not a ", message->GetDescriptor()->full_name()));
  }
  if (const auto* const server = dynamic_cast<const ServerRecord*>(message)) {
    return CheckNames(*server);
  }
  return absl::OkStatus();
}

Body DescribeBody(RecordKind kind, absl::string_view body) {
  Body described;
  described.set_size(body.size());
  described.set_checksum(
      XXH3_64bits_withSeed(body.data(), body.size(), static_cast<uint64_t>(kind)));
  return described;
}

absl::Status CheckBody(RecordKind kind, const Body& body, absl::string_view bytes) {
  if (bytes.size() != body.size()) {
    return absl::DataLossError(
        absl::StrCat("record: ", bytes.size(), " bytes of body, not ", body.size()));
  }
  if (DescribeBody(kind, bytes).checksum() != body.checksum()) {
    return absl::DataLossError("record: wrong checksum of the body");
  }
  return absl::OkStatus();
}

absl::Status ReadRecord(os::SystemCalls* calls, const std::string& path, RecordKind kind,
                        google::protobuf::Message* message) {
  const auto bytes = os::ReadWholeFile(calls, path, kRecordHeaderSize + kMaxRecordSize);
  if (!bytes.ok()) return bytes.status();
  return os::Annotate(DecodeRecord(*bytes, kind, message), path);
}

absl::Status ReadRecordIf(os::SystemCalls* calls, const std::string& path, RecordKind kind,
                          absl::FunctionRef<absl::Status(const os::FileInfo&)> check,
                          google::protobuf::Message* message) {
  auto file = os::OpenFile(calls, path, os::OpenOptions{});
  if (!file.ok()) return file.status();
  // Of what was opened: the name may be another file's by now.
  const auto info = (*file)->Stat();
  if (!info.ok()) return info.status();
  if (info->type != os::FileInfo::Type::kFile) {
    return absl::FailedPreconditionError(absl::StrCat("read ", path, ": not a regular file"));
  }
  if (absl::Status s = check(*info); !s.ok()) return s;
  if (info->size > kRecordHeaderSize + kMaxRecordSize) {
    return absl::DataLossError(
        absl::StrCat("read ", path, ": ", info->size, " bytes, more than a record may have"));
  }
  std::string bytes(info->size, '\0');
  const auto got = (*file)->ReadAt(0, bytes.data(), bytes.size());
  if (!got.ok()) return got.status();
  bytes.resize(*got);
  return os::Annotate(DecodeRecord(bytes, kind, message), path);
}

absl::Status ReadRecordOf(os::SystemCalls* calls, const std::string& path, RecordKind kind,
                          uint32_t owner, google::protobuf::Message* message) {
  const auto check = [&](const os::FileInfo& info) {
    if (info.uid == owner && info.links == 1) return absl::OkStatus();
    return absl::PermissionDeniedError(
        absl::StrCat("read ", path, ": it has ", info.links, " links and belongs to uid ", info.uid,
                     "; it must be uid ", owner, "'s own, with one"));
  };
  return ReadRecordIf(calls, path, kind, check, message);
}

}  // namespace spoolrpc::spool
