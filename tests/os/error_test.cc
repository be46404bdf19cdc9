#include "spoolrpc/os/error.h"

#include <errno.h>

#include "absl/strings/cord.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::os {
namespace {

using ::spoolrpc::testing::IsOk;
using ::testing::StartsWith;

TEST(ErrnoToStatus, NamesOperationPathAndReason) {
  const absl::Status status = ErrnoToStatus(ENOENT, "open", "/spool/format");
  EXPECT_EQ(status.message(), "open /spool/format: No such file or directory");
}

TEST(ErrnoToStatus, GivesTheMostSpecificCode) {
  const struct {
    int error;
    absl::StatusCode code;
  } kCases[] = {
      {ENOENT, absl::StatusCode::kNotFound},
      {ESRCH, absl::StatusCode::kNotFound},
      {EEXIST, absl::StatusCode::kAlreadyExists},
      {EACCES, absl::StatusCode::kPermissionDenied},
      {EPERM, absl::StatusCode::kPermissionDenied},
      {EROFS, absl::StatusCode::kPermissionDenied},
      {ENOSPC, absl::StatusCode::kResourceExhausted},
      {EDQUOT, absl::StatusCode::kResourceExhausted},
      {EMFILE, absl::StatusCode::kResourceExhausted},
      {ENOMEM, absl::StatusCode::kResourceExhausted},
      {ENOTDIR, absl::StatusCode::kFailedPrecondition},
      {EISDIR, absl::StatusCode::kFailedPrecondition},
      {ENOTEMPTY, absl::StatusCode::kFailedPrecondition},
      {ELOOP, absl::StatusCode::kFailedPrecondition},
      {ENXIO, absl::StatusCode::kFailedPrecondition},
      {ENODEV, absl::StatusCode::kFailedPrecondition},
      {EINVAL, absl::StatusCode::kInvalidArgument},
      {ENAMETOOLONG, absl::StatusCode::kInvalidArgument},
      {ENOSYS, absl::StatusCode::kUnimplemented},
      {EOPNOTSUPP, absl::StatusCode::kUnimplemented},
      {EIO, absl::StatusCode::kUnavailable},
      {ESTALE, absl::StatusCode::kUnavailable},
      {ETIMEDOUT, absl::StatusCode::kUnavailable},
      {ENOTCONN, absl::StatusCode::kUnavailable},
      {ESHUTDOWN, absl::StatusCode::kUnavailable},
      {EDOM, absl::StatusCode::kUnknown},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(ErrnoToStatus(c.error, "open", "/x").code(), c.code) << "errno " << c.error;
  }
}

TEST(ErrnoToStatus, NoErrnoBecomesOk) {
  for (int error = 1; error < 134; ++error) {
    const absl::Status status = ErrnoToStatus(error, "open", "/x");
    EXPECT_FALSE(status.ok()) << error;
    EXPECT_EQ(ErrnoOf(status), error);
  }
}

TEST(ErrnoOf, IsZeroForStatusesThatCameFromNoSystemCall) {
  EXPECT_EQ(ErrnoOf(absl::OkStatus()), 0);
  EXPECT_EQ(ErrnoOf(absl::NotFoundError("open /x: No such file or directory")), 0);
}

TEST(IsStale, MeansCloseAndOpenAnew) {
  EXPECT_TRUE(IsStale(ErrnoToStatus(ESTALE, "read", "/x")));
  EXPECT_TRUE(IsStale(ErrnoToStatus(EBADF, "read", "/x"))) << "what GlusterFS says of it";
  EXPECT_TRUE(IsStale(ErrnoToStatus(ENOTCONN, "read", "/x")));
  EXPECT_FALSE(IsStale(ErrnoToStatus(ENOENT, "read", "/x")));
  EXPECT_FALSE(IsStale(absl::OkStatus()));
}

TEST(Annotate, KeepsCodeAndPayloads) {
  absl::Status status = ErrnoToStatus(EIO, "write", "/x");
  status.SetPayload("other", absl::Cord("payload"));
  const absl::Status annotated = Annotate(status, "log sealed");
  EXPECT_EQ(annotated.code(), status.code());
  EXPECT_THAT(std::string(annotated.message()), StartsWith("log sealed: write /x: "));
  EXPECT_EQ(ErrnoOf(annotated), EIO);
  EXPECT_EQ(annotated.GetPayload("other"), absl::Cord("payload"));
  EXPECT_THAT(Annotate(absl::OkStatus(), "anything"), IsOk());
}

}  // namespace
}  // namespace spoolrpc::os
