#include "spoolrpc/metrics/open_metrics.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "spoolrpc/metrics/registry.h"
#include "spoolrpc/os/error.h"
#include "spoolrpc/os/file.h"
#include "spoolrpc/os/random.h"

namespace spoolrpc::metrics {
namespace {

constexpr int kFirstLatencyBound = 10;  // 2^10 ns
constexpr int kLastLatencyBound = 40;
constexpr int kLastBatchBound = 12;  // 4096 calls
constexpr std::pair<double, const char*> kQuantiles[] = {
    {0.5, "0.5"}, {0.9, "0.9"}, {0.99, "0.99"}, {0.999, "0.999"}};

// With a point, and without digits that say nothing.
std::string Decimal(double value) {
  std::string text = absl::StrFormat("%.9f", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text += '0';
  return text;
}

std::string Seconds(double nanos) { return Decimal(nanos / 1e9); }

std::string Label(absl::string_view name, absl::string_view value) {
  return absl::StrCat(name, "=\"",
                      absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}),
                      "\"");
}

// A registry as it was at one time.
struct View {
  std::string labels;
  std::vector<MethodSummary> methods;
  std::map<std::string, int64_t> queues;
  FileOperationCounts file_operations;
};

View ViewOf(const Registry& registry) {
  View view;
  view.labels = Label("role", registry.role() == Role::kClient ? "client" : "server");
  for (const auto& [name, value] : registry.labels()) {
    absl::StrAppend(&view.labels, ",", Label(name, value));
  }
  view.methods = registry.Summaries();
  view.queues = registry.QueueLengths();
  view.file_operations = registry.FileOperations();
  return view;
}

// One metric family: its head, before its first sample, and its samples.
class Family {
 public:
  Family(std::string* out, std::string name, absl::string_view type, absl::string_view unit,
         absl::string_view help)
      : out_(out), name_(std::move(name)) {
    head_ = absl::StrCat("# TYPE ", name_, " ", type, "\n");
    if (!unit.empty()) absl::StrAppend(&head_, "# UNIT ", name_, " ", unit, "\n");
    absl::StrAppend(&head_, "# HELP ", name_, " ", help, "\n");
  }

  void Sample(absl::string_view suffix, absl::string_view labels, absl::string_view value) {
    absl::StrAppend(out_, head_, name_, suffix, "{", labels, "} ", value, "\n");
    head_.clear();
  }
  // With bounds from 2^first_bound to 2^last_bound; `print` turns a value of the histogram into
  // text.
  template <class Print>
  void Histogram(absl::string_view labels, const HistogramSnapshot& histogram, int first_bound,
                 int last_bound, Print print) {
    for (int bound = first_bound; bound <= last_bound; ++bound) {
      const uint64_t value = uint64_t{1} << bound;
      Sample("_bucket", absl::StrCat(labels, ",", Label("le", print(static_cast<double>(value)))),
             absl::StrCat(histogram.CountUpTo(value)));
    }
    Sample("_bucket", absl::StrCat(labels, ",", Label("le", "+Inf")),
           absl::StrCat(histogram.count));
    Sample("_sum", labels, print(histogram.sum));
    Sample("_count", labels, absl::StrCat(histogram.count));
  }

 private:
  std::string* const out_;
  const std::string name_;
  std::string head_;
};

// Calls `write(labels, method)` for every method of every view.
template <class Write>
void ForMethods(const std::vector<View>& views, Write write) {
  for (const View& view : views) {
    for (const MethodSummary& method : view.methods) {
      write(absl::StrCat(view.labels, ",", Label("method", method.method)), method);
    }
  }
}

void AppendCalls(const std::vector<View>& views, std::string* out) {
  Family started(out, "spoolrpc_calls_started", "counter", "", "Calls that have begun.");
  ForMethods(views, [&](const std::string& labels, const MethodSummary& method) {
    started.Sample("_total", labels, absl::StrCat(method.started));
  });
  Family ended(out, "spoolrpc_calls_ended", "counter", "",
               "Calls that have ended, by status code.");
  ForMethods(views, [&](const std::string& labels, const MethodSummary& method) {
    for (int code = 0; code < kStatusCodes; ++code) {
      // OK always, so that a rate of errors has something to be divided by.
      if (code != 0 && method.ended[code] == 0) continue;
      const std::string name = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
      ended.Sample("_total", absl::StrCat(labels, ",", Label("code", name)),
                   absl::StrCat(method.ended[code]));
    }
  });
  Family in_flight(out, "spoolrpc_calls_in_flight", "gauge", "",
                   "Calls that have begun and not ended.");
  ForMethods(views, [&](const std::string& labels, const MethodSummary& method) {
    in_flight.Sample("", labels, absl::StrCat(method.in_flight));
  });
}

void AppendLatencies(const std::vector<View>& views, std::string* out) {
  const auto for_ended = [&](auto write) {
    ForMethods(views, [&](const std::string& labels, const MethodSummary& method) {
      if (method.latency.count > 0) write(labels, method.latency);
    });
  };
  const std::string name = "spoolrpc_call_latency";
  Family histogram(out, name + "_seconds", "histogram", "seconds",
                   "Time from a call's beginning to its end.");
  for_ended([&](const std::string& labels, const HistogramSnapshot& latency) {
    histogram.Histogram(labels, latency, kFirstLatencyBound, kLastLatencyBound, Seconds);
  });
  Family quantiles(out, name + "_quantiles_seconds", "summary", "seconds",
                   "Quantiles of that time over all calls, to within 1/32.");
  for_ended([&](const std::string& labels, const HistogramSnapshot& latency) {
    for (const auto& [q, text] : kQuantiles) {
      quantiles.Sample("", absl::StrCat(labels, ",", Label("quantile", text)),
                       Seconds(latency.Quantile(q)));
    }
    quantiles.Sample("_sum", labels, Seconds(latency.sum));
    quantiles.Sample("_count", labels, absl::StrCat(latency.count));
  });
  Family min(out, name + "_min_seconds", "gauge", "seconds", "The shortest call's time.");
  for_ended([&](const std::string& labels, const HistogramSnapshot& latency) {
    min.Sample("", labels, Seconds(static_cast<double>(latency.min)));
  });
  Family max(out, name + "_max_seconds", "gauge", "seconds", "The longest call's time.");
  for_ended([&](const std::string& labels, const HistogramSnapshot& latency) {
    max.Sample("", labels, Seconds(static_cast<double>(latency.max)));
  });
}

void AppendSizes(const std::vector<View>& views, std::string* out) {
  Family sent(out, "spoolrpc_message_sent_bytes", "counter", "bytes",
              "Bytes of messages that were sent.");
  ForMethods(views, [&](const std::string& labels, const MethodSummary& method) {
    sent.Sample("_total", labels, absl::StrCat(method.bytes_sent));
  });
  Family received(out, "spoolrpc_message_received_bytes", "counter", "bytes",
                  "Bytes of messages that were received.");
  ForMethods(views, [&](const std::string& labels, const MethodSummary& method) {
    received.Sample("_total", labels, absl::StrCat(method.bytes_received));
  });
  Family batches(out, "spoolrpc_batch_size", "histogram", "", "Calls in a batch.");
  ForMethods(views, [&](const std::string& labels, const MethodSummary& method) {
    if (method.batch_size.count == 0) return;
    batches.Histogram(labels, method.batch_size, 0, kLastBatchBound, Decimal);
  });
}

void AppendOthers(const std::vector<View>& views, std::string* out) {
  Family queues(out, "spoolrpc_queue_length", "gauge", "",
                "Calls that wait for a worker, or for others of their batch.");
  for (const View& view : views) {
    for (const auto& [queue, length] : view.queues) {
      queues.Sample("", absl::StrCat(view.labels, ",", Label("queue", queue)),
                    absl::StrCat(length));
    }
  }
  Family operations(out, "spoolrpc_file_operations", "counter", "", "System calls on files.");
  for (const View& view : views) {
    for (int i = 0; i < kFileOperations; ++i) {
      if (view.file_operations[i] == 0) continue;
      const absl::string_view name = FileOperationName(static_cast<FileOperation>(i));
      operations.Sample("_total", absl::StrCat(view.labels, ",", Label("operation", name)),
                        absl::StrCat(view.file_operations[i]));
    }
  }
}

}  // namespace

std::string OpenMetricsText(absl::Span<const Registry* const> registries) {
  std::vector<View> views;
  views.reserve(registries.size());
  for (const Registry* const registry : registries) views.push_back(ViewOf(*registry));
  std::string out;
  AppendCalls(views, &out);
  AppendLatencies(views, &out);
  AppendSizes(views, &out);
  AppendOthers(views, &out);
  out += "# EOF\n";
  return out;
}

absl::Status WriteTextfile(const std::string& path, absl::string_view text,
                           os::SystemCalls* calls) {
  // Another writer of the same file, on any host, has another name.
  const std::string temporary =
      absl::StrCat(path, ".tmp-", absl::Hex(os::RandomUint64(), absl::kZeroPad16));
  absl::Status status = os::WriteNewFile(calls, temporary, text, 0644, /*flush=*/false);
  if (status.ok()) status = os::Rename(calls, temporary, path);
  if (status.ok()) return status;
  // Best effort: the first error is what the caller wants to know.
  os::RemoveFile(calls, temporary).IgnoreError();
  return os::Annotate(status, "writing metrics");
}

}  // namespace spoolrpc::metrics
