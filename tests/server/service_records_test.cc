// What a server says of its methods: all of them, as their handlers are found, and no more than a
// record holds.
#include "spoolrpc/server/service_records.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "spoolrpc/spool/record_file.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::server {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

MethodInfo Method(const char* name, MethodKind kind, const char* request, const char* response,
                  uint64_t fingerprint) {
  MethodInfo info = {name};
  info.kind = kind;
  info.request_type = request;
  info.response_type = response;
  info.fingerprint = fingerprint;
  return info;
}

class TestService final : public Service {
 public:
  TestService(const ServiceInfo* info, const std::vector<MethodInfo>& methods) : Service(info) {
    for (const MethodInfo& method : methods) AddMethod(&method, nullptr);
  }
};

constexpr ServiceInfo kService = {"a.B", nullptr, 0, 7};

TEST(ServiceRecordsTest, MethodsWithKindTypesAndFingerprint) {
  const std::vector<MethodInfo> methods = {
      Method("/a.B/One", MethodKind::kUnary, "a.In", "a.Out", 1),
      Method("/a.B/Up", MethodKind::kClientStreaming, "a.In", "b.Out", 2),
      Method("/a.B/Down", MethodKind::kServerStreaming, "c.In", "a.Out", 3),
      Method("/a.B/Both", MethodKind::kBidiStreaming, "a.In", "a.Out", 4),
      {"/a.B/Unknown"},
      // Found under its name, but by nobody who looks for it in this service.
      Method("/a.C/Other", MethodKind::kUnary, "a.In", "a.Out", 5),
      // As in MethodTable the first one counts.
      Method("/a.B/One", MethodKind::kBidiStreaming, "x.In", "x.Out", 6),
  };
  const TestService service(&kService, methods);
  MethodTable table;
  ASSERT_OK(table.Add(&service));
  spool::ServerRecord record;
  ASSERT_OK(AddServices(table, &record));
  ASSERT_EQ(record.services_size(), 1);
  EXPECT_EQ(record.services(0).name(), "a.B");
  EXPECT_EQ(record.services(0).fingerprint(), 7);
  std::string text;
  for (const auto& method : record.services(0).methods()) {
    absl::StrAppend(&text, method.name(), " ", spool::MethodRecord::Kind_Name(method.kind()), " ",
                    method.request_type(), " ", method.response_type(), " ", method.fingerprint(),
                    "\n");
  }
  EXPECT_EQ(text,
            "One UNARY a.In a.Out 1\n"
            "Up CLIENT_STREAMING a.In b.Out 2\n"
            "Down SERVER_STREAMING c.In a.Out 3\n"
            "Both BIDI_STREAMING a.In a.Out 4\n"
            "Unknown UNARY   0\n");
  spool::ServerRecord back;
  EXPECT_OK(spool::DecodeRecord(spool::EncodeRecord(spool::RecordKind::kServer, record),
                                spool::RecordKind::kServer, &back));
}

// Fills a record with methods until it is refused: what was taken last can be read by everybody,
// whatever else the server says of itself.
TEST(ServiceRecordsTest, WhatDoesNotFitIsRefused) {
  const std::string type = absl::StrCat("a.", std::string(1000, 'x'));
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back(absl::StrCat("/a.B/Method", i));
  const auto describe = [&](size_t count, spool::ServerRecord* record) {
    std::vector<MethodInfo> methods;
    for (size_t i = 0; i < count; ++i) {
      methods.push_back(
          Method(names[i].c_str(), MethodKind::kUnary, type.c_str(), type.c_str(), 1));
    }
    const TestService service(&kService, methods);
    MethodTable table;
    EXPECT_OK(table.Add(&service));
    return AddServices(table, record);
  };
  size_t fits = 0;
  size_t too_many = names.size();
  while (fits + 1 < too_many) {
    const size_t count = (fits + too_many) / 2;
    spool::ServerRecord record;
    (describe(count, &record).ok() ? fits : too_many) = count;
  }
  EXPECT_GT(fits, 500);
  spool::ServerRecord record;
  ASSERT_OK(describe(fits, &record));
  // The longest names that a kernel has, and then some.
  record.set_server_id(std::string(16, 'x'));
  record.mutable_process()->set_host(std::string(64, 'h'));
  record.mutable_process()->set_boot_id(std::string(36, 'b'));
  record.set_software_version(std::string(1000, 'v'));
  spool::ServerRecord back;
  EXPECT_OK(spool::DecodeRecord(spool::EncodeRecord(spool::RecordKind::kServer, record),
                                spool::RecordKind::kServer, &back));
  EXPECT_LE(record.ByteSizeLong(), spool::kMaxRecordSize);
  spool::ServerRecord refused;
  EXPECT_THAT(describe(fits + 1, &refused),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("1 services"), HasSubstr(absl::StrCat(fits + 1, " methods")),
                             HasSubstr("second server"))));
}

}  // namespace
}  // namespace spoolrpc::server
