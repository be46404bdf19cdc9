#include "spoolrpc/isolation/message_socket.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "spoolrpc/wire.pb.h"

namespace spoolrpc::isolation {
namespace {

using Result = MessageSocket::Result;

class MessageSocketTest : public ::testing::Test {
 protected:
  MessageSocketTest() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    left_ = std::make_unique<MessageSocket>(fds[0]);
    right_ = std::make_unique<MessageSocket>(fds[1]);
  }
  void SendRaw(uint64_t message, uint64_t payload, const std::string& rest) {
    const uint64_t lengths[2] = {message, payload};
    ASSERT_EQ(write(left_->fd(), lengths, sizeof(lengths)), sizeof(lengths));
    ASSERT_EQ(write(left_->fd(), rest.data(), rest.size()), rest.size());
  }

  std::unique_ptr<MessageSocket> left_;
  std::unique_ptr<MessageSocket> right_;
  wire::Metadata message_;
  std::string payload_;
};

TEST_F(MessageSocketTest, MessagesAndPayloadsOfAnySize) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100000}, size_t{5000001}}) {
    wire::Metadata message;
    message.set_key("size");
    message.set_value(std::to_string(size));
    const std::string payload(size, 'p');
    std::thread sender([&] { EXPECT_EQ(left_->Send(message, payload), Result::kOk); });
    EXPECT_EQ(right_->Receive(&message_, &payload_), Result::kOk);
    sender.join();
    EXPECT_EQ(message_.value(), message.value());
    EXPECT_EQ(payload_, payload);
  }
}

TEST_F(MessageSocketTest, ClosedBeforeAndInTheMiddle) {
  SendRaw(3, 10, "ab");
  left_.reset();
  EXPECT_EQ(right_->Receive(&message_, &payload_), Result::kClosed);
  EXPECT_EQ(right_->Receive(&message_, &payload_), Result::kClosed);
  EXPECT_EQ(right_->Send(message_, std::string(10, 'x')), Result::kClosed);
}

TEST_F(MessageSocketTest, NonsenseIsBroken) {
  SendRaw(uint64_t{1} << 40, 0, "");
  EXPECT_EQ(right_->Receive(&message_, &payload_), Result::kBroken);
}

TEST_F(MessageSocketTest, NoMessageIsBroken) {
  SendRaw(3, 0, "\xff\xff\xff");
  EXPECT_EQ(right_->Receive(&message_, &payload_), Result::kBroken);
}

TEST_F(MessageSocketTest, LengthAloneTakesNoMemory) {
  SendRaw(0, uint64_t{1} << 35, "only this");
  left_->Shutdown();
  EXPECT_EQ(right_->Receive(&message_, &payload_), Result::kClosed);
  EXPECT_LT(payload_.capacity(), size_t{4} << 20);
}

TEST_F(MessageSocketTest, StopsWhenItIsToldTo) {
  const int event = eventfd(0, EFD_CLOEXEC);
  bool stop = false;
  const MessageSocket::Stop when = {{-1, event}, [&] { return std::exchange(stop, true); }};
  eventfd_write(event, 1);
  // (The first time it says no: it goes on waiting, and asks again.)
  EXPECT_EQ(right_->Receive(&message_, &payload_, &when), Result::kStopped);
  // Into a buffer that is full.
  EXPECT_EQ(left_->Send(message_, std::string(50000000, 'x'), &when), Result::kStopped);
  close(event);
}

}  // namespace
}  // namespace spoolrpc::isolation
