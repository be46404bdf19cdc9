// One function for each kind of file. Each takes what the path tells, for what the bytes do not.
#ifndef SPOOLRPC_CLI_FILE_DUMPS_H_
#define SPOOLRPC_CLI_FILE_DUMPS_H_

#include "cli/byte_source.h"
#include "cli/dump.h"
#include "cli/path_hint.h"
#include "cli/report.h"

namespace spoolrpc::cli {

// What all three kinds begin with: 8 bytes that name the kind.
constexpr size_t kMagicSize = 8;
constexpr absl::string_view kRecordMagic = "SPOOLREC";
constexpr absl::string_view kLogMagic = "SPOOLLOG";
constexpr absl::string_view kDoorbellMagic = "SPOOLBEL";

// Reports a magic that is not `expected`.
void CheckMagic(absl::string_view bytes, absl::string_view expected, Report* report);

void DumpRecord(ByteSource* source, const PathHint& hint, Report* report);
void DumpLog(ByteSource* source, const PathHint& hint, const DumpOptions& options, Report* report);
void DumpDoorbell(ByteSource* source, Report* report);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_FILE_DUMPS_H_
