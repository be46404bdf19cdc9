// The service Blocking of soak.proto: handlers that block.
#ifndef SPOOLRPC_TESTS_SOAK_BLOCKING_SERVICE_H_
#define SPOOLRPC_TESTS_SOAK_BLOCKING_SERVICE_H_

#include "spoolrpc/spoolrpc.h"
#include "tests/soak/journal.h"
#include "tests/soak/soak.spoolrpc.pb.h"

namespace spoolrpc::soak {

// Thread-safe.
class BlockingService final : public Blocking::Service {
 public:
  explicit BlockingService(Journal* journal) : journal_(journal) {}

  absl::Status Unary(ServerContext* context, const Job* job, Answer* answer) override {
    return Work(context, *job, answer);
  }
  absl::Status AckFirst(ServerContext* context, const Job* job, Answer* answer) override {
    return Work(context, *job, answer);
  }
  absl::Status Again(ServerContext* context, const Job* job, Answer* answer) override {
    return Work(context, *job, answer);
  }
  absl::Status Hedged(ServerContext* context, const Job* job, Answer* answer) override {
    return Work(context, *job, answer);
  }
  absl::Status Inline(ServerContext* context, const Job* job, Answer* answer) override;
  absl::Status Gathered(BatchContext* batch, absl::Span<const Job* const> jobs,
                        absl::Span<Answer* const> answers) override;
  absl::Status Collect(ServerContext* context, ServerReader<Job>* reader, Answer* answer) override;
  absl::Status Expand(ServerContext* context, const Job* job,
                      ServerWriter<Answer>* writer) override;
  absl::Status Talk(ServerContext* context, ServerReaderWriter<Answer, Job>* stream) override;

 private:
  absl::Status Work(ServerContext* context, const Job& job, Answer* answer);

  Journal* const journal_;
};

}  // namespace spoolrpc::soak

#endif  // SPOOLRPC_TESTS_SOAK_BLOCKING_SERVICE_H_
