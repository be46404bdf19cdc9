// What the tests of metrics share: a registry for each side, and its text, read back.
#ifndef SPOOLRPC_TESTS_E2E_METRICS_FIXTURE_H_
#define SPOOLRPC_TESTS_E2E_METRICS_FIXTURE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "tests/e2e/fixture.h"
#include "tests/metrics/open_metrics_parser.h"

namespace spoolrpc::e2e {

using SampleLabels = std::map<std::string, std::string>;

class MetricsTest : public BothTransports {
 protected:
  // A server that counts in server_metrics_.
  std::unique_ptr<Server> ServeCounted(Service* service,
                                       const std::function<void(ServerBuilder*)>& change = {}) {
    return Serve(service, [&](ServerBuilder* builder) {
      builder->set_metrics(&server_metrics_);
      if (change) change(builder);
    });
  }
  // Those of a channel that counts in client_metrics_.
  ChannelOptions CountedOptions() {
    ChannelOptions options = Options();
    options.metrics = &client_metrics_;
    return options;
  }
  std::shared_ptr<Channel> ConnectCounted() { return Connect(CountedOptions()); }

  // The one sample of `text` with this name and these labels; NaN if there is none.
  static double Value(const std::string& text, const std::string& name,
                      const SampleLabels& labels) {
    const auto parsed = testing::ParseOpenMetrics(text);
    EXPECT_OK(parsed) << text;
    return parsed.ok() ? testing::SampleValue(*parsed, name, labels) : -1;
  }
  static double Value(const metrics::Registry& registry, const std::string& name,
                      const SampleLabels& labels) {
    return Value(registry.OpenMetricsText(), name, labels);
  }

  // Of one method.
  static double Started(const metrics::Registry& registry, const std::string& method) {
    return Value(registry, "spoolrpc_calls_started_total", {{"method", method}});
  }
  static double Ended(const metrics::Registry& registry, const std::string& method,
                      const std::string& code) {
    return Value(registry, "spoolrpc_calls_ended_total", {{"method", method}, {"code", code}});
  }
  static double InFlight(const metrics::Registry& registry, const std::string& method) {
    return Value(registry, "spoolrpc_calls_in_flight", {{"method", method}});
  }
  static double Sent(const metrics::Registry& registry, const std::string& method) {
    return Value(registry, "spoolrpc_message_sent_bytes_total", {{"method", method}});
  }
  static double Received(const metrics::Registry& registry, const std::string& method) {
    return Value(registry, "spoolrpc_message_received_bytes_total", {{"method", method}});
  }
  // The server's.
  double QueueLength(const std::string& queue) const {
    return Value(server_metrics_, "spoolrpc_queue_length", {{"queue", queue}});
  }

  metrics::Registry server_metrics_{metrics::Role::kServer};
  metrics::Registry client_metrics_{metrics::Role::kClient};
};

}  // namespace spoolrpc::e2e

#endif  // SPOOLRPC_TESTS_E2E_METRICS_FIXTURE_H_
