// Streaming calls with readers and writers that block.
#include <thread>

#include "tests/soak/make_calls.h"

namespace spoolrpc::soak {
namespace {

bool Abandons(const Call& call, uint32_t messages) {
  return call.plan().abandon_after.has_value() && messages >= *call.plan().abandon_after;
}

void Collect(const std::shared_ptr<Call>& call, std::unique_ptr<Callee> callee,
             std::mt19937_64* random) {
  auto writer = callee->Collect(call->context(), call->answer());
  callee.reset();  // the channel lives as long as the stream
  for (uint32_t i = 0; i < call->plan().messages; ++i) {
    if (Abandons(*call, i)) {
      writer.reset();
      call->Drop();
      return;
    }
    WriteOptions options;
    if ((*random)() % 4 == 0) options.set_buffer_hint();
    if ((*random)() % 4 == 0) options.set_no_compression();
    if (i + 1 == call->plan().messages && (*random)() % 2 == 0) options.set_last_message();
    if (!writer->Write(call->Request(i), options)) break;
    call->Pause();
  }
  const absl::Status status = writer->Finish();
  if (status.ok()) call->Take(*call->answer());
  call->End(*call->context(), status);
}

// Reads to the end, or until it is abandoned.
template <class Reader>
void ReadAll(Call* call, std::unique_ptr<Reader> reader, std::thread writer,
             std::mt19937_64* random) {
  Answer answer;
  bool abandoned = false;
  while (!(abandoned = Abandons(*call, call->taken())) && reader->Read(&answer)) {
    call->Take(answer);
    call->Pause();
  }
  const bool finishes = !abandoned || (*random)() % 2 == 0;
  // Nobody reads any more, so that the writer may wait for ever.
  if (abandoned && writer.joinable()) call->Cancel();
  if (writer.joinable()) writer.join();
  if (!finishes) {
    reader.reset();
    call->Drop();
    return;
  }
  const absl::Status status = reader->Finish();
  call->End(*call->context(), status, !abandoned);
}

void Expand(const std::shared_ptr<Call>& call, std::unique_ptr<Callee> callee,
            std::mt19937_64* random) {
  auto reader = callee->Expand(call->context(), call->Request(0));
  callee.reset();
  if ((*random)() % 4 == 0) reader->WaitForInitialMetadata();
  ReadAll(call.get(), std::move(reader), std::thread(), random);
}

void TalkInTurns(Call* call, std::unique_ptr<ClientReaderWriter<Job, Answer>> stream,
                 std::mt19937_64* random) {
  Answer answer;
  for (uint32_t i = 0; i < call->plan().messages && !Abandons(*call, i); ++i) {
    if (!stream->Write(call->Request(i))) break;
    if (!stream->Read(&answer)) break;
    call->Take(answer);
    call->Pause();
  }
  // What is abandoned here has been answered so far; the handler waits for more.
  if (!Abandons(*call, call->taken())) stream->WritesDone();
  ReadAll(call, std::move(stream), std::thread(), random);
}

void TalkAtOnce(Call* call, std::unique_ptr<ClientReaderWriter<Job, Answer>> stream,
                std::mt19937_64* random) {
  const bool hint = (*random)() % 2 == 0;
  std::thread writer([call, hint, stream = stream.get()] {
    for (uint32_t i = 0; i < call->plan().messages; ++i) {
      WriteOptions options;
      if (hint && i % 3 != 2) options.set_buffer_hint();
      if (!stream->Write(call->Request(i), options)) return;
      call->Pause();
    }
    stream->WritesDone();
  });
  ReadAll(call, std::move(stream), std::move(writer), random);
}

}  // namespace

void MakeBlockingStream(const std::shared_ptr<Call>& call, std::unique_ptr<Callee> callee,
                        std::mt19937_64* random) {
  call->Begin(call->context());
  if (call->plan().method == Method::kCollect) {
    Collect(call, std::move(callee), random);
  } else if (call->plan().method == Method::kExpand) {
    Expand(call, std::move(callee), random);
  } else {
    auto stream = callee->Talk(call->context());
    callee.reset();
    if ((*random)() % 2 == 0) {
      TalkInTurns(call.get(), std::move(stream), random);
    } else {
      TalkAtOnce(call.get(), std::move(stream), random);
    }
  }
}

}  // namespace spoolrpc::soak
