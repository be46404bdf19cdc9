// Reads one value of (spoolrpc.service) or (spoolrpc.method), and tells what is wrong with it
// where.
//
// Options are read through the definition that the .proto file imports, not through one linked into
// the plugin: so another option with the same number, in a file that does not import ours, is none
// of our business and cannot make the plugin fail.
#ifndef SPOOLRPC_COMPILER_PLUGIN_OPTION_VALUE_H_
#define SPOOLRPC_COMPILER_PLUGIN_OPTION_VALUE_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace spoolrpc::compiler {

// A message inside an option: the option's value, or a field of it. Each Read function leaves the
// target alone and adds an error if the value makes no sense.
class OptionValue {
 public:
  using FieldDescriptor = google::protobuf::FieldDescriptor;
  using Message = google::protobuf::Message;

  // `name` is how errors call it: "option (spoolrpc.method)". The arguments must outlive the value.
  OptionValue(const google::protobuf::FileDescriptor& file, const Message& message,
              std::string name, std::vector<int> path, std::vector<std::string>* errors)
      : file_(file),
        message_(message),
        name_(std::move(name)),
        path_(std::move(path)),
        errors_(errors) {}

  // Calls `read` for each field that is set.
  void ForEachField(const std::function<void(const FieldDescriptor&)>& read) const;

  bool GetBool(const FieldDescriptor& field) const;
  // The message that a field holds.
  OptionValue Get(const FieldDescriptor& field) const;
  // Positive, or zero where that is allowed; at most 292 years.
  void ReadDuration(const FieldDescriptor& field, bool zero_allowed, int64_t* nanoseconds) const;
  void ReadInt(const FieldDescriptor& field, int32_t min, int32_t* value) const;
  void ReadDouble(const FieldDescriptor& field, double min, double* value) const;
  // The number of an enumerator, from 0 to `max`: those that this plugin knows.
  void ReadEnum(const FieldDescriptor& field, int max, int* value) const;
  // Status codes other than OK, as bits.
  void ReadCodes(const FieldDescriptor& field, uint32_t* bits) const;

  // "FILE:LINE: option (...).FIELD PROBLEM"; the line is that of `field`, or of the whole value.
  void AddError(const FieldDescriptor& field, absl::string_view problem) const;
  void AddError(absl::string_view field, absl::string_view problem) const;
  // `field` is none that this plugin knows.
  void AddNewer(const FieldDescriptor& field) const;

 private:
  void AddErrorAt(const std::vector<int>& subpath, absl::string_view field,
                  absl::string_view problem) const;

  const google::protobuf::FileDescriptor& file_;
  const Message& message_;
  const std::string name_;
  const std::vector<int> path_;
  std::vector<std::string>* const errors_;
};

// Calls `read` with the value of the option `extension` (its full name) in `options`, which are at
// `path` of `file`; not if there is none. The value lives as long as the call.
void ReadOption(const google::protobuf::FileDescriptor& file,
                const google::protobuf::Message& options, const std::string& extension,
                std::vector<int> path, std::vector<std::string>* errors,
                const std::function<void(const OptionValue&)>& read);

}  // namespace spoolrpc::compiler

#endif  // SPOOLRPC_COMPILER_PLUGIN_OPTION_VALUE_H_
