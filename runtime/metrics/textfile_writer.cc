#include "spoolrpc/metrics/textfile_writer.h"

#include <utility>

namespace spoolrpc::metrics {

TextfileWriter::TextfileWriter(const Registry* registry, std::string path, absl::Duration interval,
                               os::SystemCalls* calls, ReportFn report)
    : registry_(registry),
      path_(std::move(path)),
      interval_(interval),
      calls_(calls),
      report_(std::move(report)) {}

TextfileWriter::~TextfileWriter() { Stop(); }

void TextfileWriter::Start() {
  thread_ = std::thread([this] { Run(); });
}

void TextfileWriter::Stop() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
  WriteAndReport();
}

void TextfileWriter::Run() {
  for (;;) {
    {
      absl::MutexLock lock(&mu_);
      if (mu_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) return;
    }
    WriteAndReport();
  }
}

void TextfileWriter::WriteAndReport() {
  const absl::Status status = Write();
  // A full disk is worth one message, not one every interval.
  const bool news = failing_ == status.ok();
  failing_ = !status.ok();
  if (news && report_ != nullptr) report_(status);
}

}  // namespace spoolrpc::metrics
