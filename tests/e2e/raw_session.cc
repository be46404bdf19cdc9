#include "tests/e2e/raw_session.h"

#include <string.h>

#include <algorithm>

#include "gtest/gtest.h"
#include "spoolrpc/spool/server_list.h"
#include "spoolrpc/spool/verdict.h"
#include "tests/e2e/fixture.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::e2e {

RawSession::RawSession(const std::string& root, spool::Transport transport, absl::Duration term) {
  auto spool = spool::Spool::Open(os::Environment{}, root, transport);
  EXPECT_OK(spool);
  spool_ = *std::move(spool);
  auto servers = spool::ServerList(spool_).Refresh();
  EXPECT_OK(servers);
  EXPECT_EQ(servers->size(), 1);
  server_ = servers->front();
  auto directory = spool::SessionDirectory::Create(spool_, server_, log::kMinCapacity,
                                                   absl::ToInt64Nanoseconds(term));
  EXPECT_OK(directory);
  directory_ = *std::move(directory);
}

RawSession::~RawSession() { directory_->Remove(); }

std::string RawSession::directory() const {
  const std::string& path = directory_->requests_path();
  return path.substr(0, path.rfind('/'));
}

void RawSession::Publish() { EXPECT_OK(directory_->Publish()); }

spool::VerdictRecord RawSession::AwaitVerdict() {
  spool::VerdictRecord verdict;
  EXPECT_TRUE(Eventually([&] {
    auto found = spool::LookForVerdict(*spool_, directory_->paths().verdict, directory_->id(),
                                       directory_->parties());
    if (found.ok()) verdict = *found;
    return found.ok();
  }));
  if (verdict.verdict() != spool::VerdictRecord::ACCEPTED) return verdict;
  auto file = log::OpenLogForWriting(os::SystemCalls::Real(), directory_->paths().requests,
                                     spool_->access());
  EXPECT_OK(file);
  writer_ =
      std::make_unique<log::LogWriter>(*std::move(file), directory_->head(), spool_->access());
  auto reader =
      log::LogReader::Open(os::SystemCalls::Real(), directory_->paths().responses, directory_->id(),
                           log::Direction::kResponses, geteuid(), spool_->access(), &buffer_);
  EXPECT_OK(reader);
  reader_ = *std::move(reader);
  return verdict;
}

void RawSession::Write(log::FrameType type, uint8_t flags, uint64_t call,
                       const std::string& payload, uint64_t consumed) {
  ASSERT_TRUE(writer_->HasRoom(payload.size(), /*control=*/true));
  memcpy(writer_->BeginFrame(payload.size()), payload.data(), payload.size());
  writer_->EndFrame(type, flags, call, consumed);
  log::Batch batch;
  writer_->TakeBatch(&batch);
  EXPECT_OK(writer_->Write(batch));
}

void RawSession::WriteDamaged(log::FrameType type, uint64_t call) {
  writer_->BeginFrame(0);
  writer_->EndFrame(type, 0, call, 0);
  log::Batch batch;
  writer_->TakeBatch(&batch);
  batch.bytes[16] = static_cast<char>(batch.bytes[16] ^ 1);
  EXPECT_OK(writer_->Write(batch));
}

std::string RawSession::CallPayload(const wire::CallHeader& header, const std::string& message) {
  const std::string bytes = header.SerializeAsString();
  const uint32_t size = bytes.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + bytes + message;
}

void RawSession::Renew(log::WriterState state) { EXPECT_OK(writer_->WriteHead(state)); }

std::vector<RawSession::Frame> RawSession::ReadUntil(log::FrameType type) {
  std::vector<Frame> frames;
  const bool came = Eventually([&] {
    EXPECT_OK(reader_->Read(std::max<size_t>(reader_->wanted(), 4096), &buffer_));
    log::Frame frame;
    while (reader_->Next(&frame) == log::LogReader::Outcome::kFrame) {
      frames.push_back({frame.type, frame.call, std::string(frame.payload)});
      if (frame.type == type) return true;
    }
    return false;
  });
  EXPECT_TRUE(came) << "no frame of type " << static_cast<int>(type);
  return frames;
}

wire::Goodbye RawSession::AwaitGoodbye() {
  const auto frames = ReadUntil(log::FrameType::kGoodbye);
  wire::Goodbye goodbye;
  if (!frames.empty()) {
    EXPECT_TRUE(goodbye.ParseFromString(frames.back().payload));
  }
  return goodbye;
}

}  // namespace spoolrpc::e2e
