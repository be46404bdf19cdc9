// What the tests of links share: both ends of a session's two logs, over whatever file systems a
// test likes.
#ifndef SPOOLRPC_TESTS_LINK_LINK_PAIR_H_
#define SPOOLRPC_TESTS_LINK_LINK_PAIR_H_

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "spoolrpc/link/same_host.h"
#include "spoolrpc/link/session_link.h"
#include "spoolrpc/log/log_file.h"
#include "spoolrpc/wire.pb.h"
#include "tests/testing/status_matchers.h"

namespace spoolrpc::link {

struct Received {
  log::FrameType type;
  uint8_t flags;
  uint64_t call;
  std::string payload;
};

// One end: a link and what it has received.
struct End {
  std::shared_ptr<SessionLink> link;
  std::unique_ptr<wait::Doorbell> bell;
  std::vector<Received> frames;
  log::AlignedBuffer buffer{2 * 65536};

  // Looks once.
  PollResult Poll(bool force = true) {
    EXPECT_TRUE(link->TryBeginPoll());
    PollResult result = link->Poll(force, &buffer, [this](const log::Frame& frame) {
      frames.push_back({frame.type, frame.flags, frame.call, std::string(frame.payload)});
      return absl::OkStatus();
    });
    link->EndPoll();
    return result;
  }
  // Its peer is known to have ended.
  PollResult PollToEnd() {
    EXPECT_TRUE(link->TryBeginPoll());
    EXPECT_TRUE(link->SuspendRenewals());
    PollResult result = link->PollToEnd(&buffer, [this](const log::Frame& frame) {
      frames.push_back({frame.type, frame.flags, frame.call, std::string(frame.payload)});
      return absl::OkStatus();
    });
    link->EndPoll();
    return result;
  }
  // The same as Poll(), and reads the peer's head.
  PollResult PollHead() {
    EXPECT_TRUE(link->TryBeginPoll());
    link->ReadHeadNext();
    link->EndPoll();
    return Poll();
  }
  // Sends a CALL or REPLY whose message is `bytes`.
  uint64_t Send(log::FrameType type, uint64_t call, const std::string& bytes) {
    wire::Metadata message;  // any message with bytes in it
    message.set_value(bytes);
    wire::CallHeader header;
    return link->SendMessage(type, 0, call, &header, &message, message.ByteSizeLong());
  }
};

struct PairOptions {
  // Of the two ends.
  os::Environment client;
  os::Environment server;
  std::string directory;
  uint64_t capacity = log::kMinCapacity;
  bool bells = false;
  // Messages of at least so many bytes go through bulk buffers, in client/ and server/; 0: none.
  size_t bulk_threshold = 0;
  log::FileAccess access;
  Flusher* client_flusher = nullptr;
  os::Nanos term = 10'000'000'000;
  uint32_t uid = geteuid();
};

struct LinkPair {
  std::string requests;
  std::string responses;
  End client;
  End server;
};

inline std::string TestSessionId() { return std::string(16, '\x07'); }

inline std::unique_ptr<log::LogWriter> MakeWriter(const PairOptions& options,
                                                  const os::Environment& env,
                                                  const std::string& path,
                                                  log::Direction direction) {
  log::LogHead head;
  head.id = TestSessionId();
  head.direction = direction;
  head.capacity = options.capacity;
  head.counter = 1;
  head.term_ns = options.term;
  EXPECT_OK(log::CreateLogFile(env.calls, path, head, options.access, 0600));
  auto file = log::OpenLogForWriting(env.calls, path, options.access);
  EXPECT_OK(file);
  return std::make_unique<log::LogWriter>(*std::move(file), head, options.access);
}

inline std::unique_ptr<LinkPair> MakePair(const PairOptions& options) {
  auto pair = std::make_unique<LinkPair>();
  pair->requests = options.directory + "/requests";
  pair->responses = options.directory + "/responses";
  LinkOptions client;
  LinkOptions server;
  client.env = options.client;
  server.env = options.server;
  client.flusher = options.client_flusher;
  client.own_term = client.peer_term = server.own_term = server.peer_term = options.term;
  client.writer = MakeWriter(options, options.client, pair->requests, log::Direction::kRequests);
  server.writer = MakeWriter(options, options.server, pair->responses, log::Direction::kResponses);
  const auto open = [&](const os::Environment& env, const std::string& path,
                        log::Direction direction) {
    log::AlignedBuffer buffer(2 * 65536);
    auto reader = log::LogReader::Open(env.calls, path, TestSessionId(), direction, options.uid,
                                       options.access, &buffer);
    EXPECT_OK(reader);
    return *std::move(reader);
  };
  client.reader = open(options.client, pair->responses, log::Direction::kResponses);
  server.reader = open(options.server, pair->requests, log::Direction::kRequests);
  if (options.bells) {
    pair->client.bell = wait::Doorbell::InMemory(1);
    pair->server.bell = wait::Doorbell::InMemory(1);
    // Each rings the other's, and has shown that it can.
    pair->client.bell->Echo(0);
    pair->server.bell->Echo(0);
    client.own_bell = pair->client.bell.get();
    server.own_bell = pair->server.bell.get();
    client.peer_bell = std::shared_ptr<wait::Doorbell>(pair->server.bell.get(), [](auto*) {});
    server.peer_bell = std::shared_ptr<wait::Doorbell>(pair->client.bell.get(), [](auto*) {});
  }
  if (options.bulk_threshold > 0) {
    SameHostSides sides;
    sides.env = options.client;
    sides.session_id = TestSessionId();
    sides.own_direction = log::Direction::kRequests;
    sides.own_half = options.directory + "/client";
    sides.peer_half = options.directory + "/server";
    sides.peer_uid = options.uid;
    sides.peer_bulk_version = 1;
    sides.peer = options.client.host->Self();
    sides.threshold = options.bulk_threshold;
    sides.max_send = sides.max_receive = 1 << 20;
    EXPECT_OK(os::MakeDirectory(os::SystemCalls::Real(), sides.own_half, 0700));
    EXPECT_OK(os::MakeDirectory(os::SystemCalls::Real(), sides.peer_half, 0700));
    SetUpSameHost(sides, &client);
    std::swap(sides.own_half, sides.peer_half);
    sides.own_direction = log::Direction::kResponses;
    sides.env = options.server;
    SetUpSameHost(sides, &server);
  }
  pair->client.link = std::make_shared<SessionLink>(std::move(client));
  pair->server.link = std::make_shared<SessionLink>(std::move(server));
  return pair;
}

// Puts the message of `call` together again, from its CALL or the DATA frames and REPLY that carry
// it; the bytes that Send() was given.
inline std::string MessageOf(const std::vector<Received>& frames, uint64_t call) {
  std::string payload;
  for (const Received& frame : frames) {
    if (frame.call == call && frame.type != log::FrameType::kAck &&
        frame.type != log::FrameType::kCancel) {
      payload += frame.payload;
    }
  }
  uint32_t header = 0;
  if (payload.size() < sizeof(header)) return "";
  memcpy(&header, payload.data(), sizeof(header));
  wire::Metadata message;
  EXPECT_TRUE(message.ParseFromString(payload.substr(sizeof(header) + header)));
  return message.value();
}

}  // namespace spoolrpc::link

#endif  // SPOOLRPC_TESTS_LINK_LINK_PAIR_H_
