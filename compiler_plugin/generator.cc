#include "compiler_plugin/generator.h"

#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler_plugin/annotations.h"
#include "compiler_plugin/file_generator.h"
#include "compiler_plugin/names.h"
#include "compiler_plugin/parameters.h"

namespace spoolrpc::compiler {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::compiler::GeneratorContext;
using google::protobuf::io::Printer;
using google::protobuf::io::ZeroCopyOutputStream;

using FilePart = void (FileGenerator::*)(Printer*) const;

// Returns false if the file could not be written.
bool WriteFile(GeneratorContext* context, const std::string& path, const FileGenerator& generator,
               FilePart part) {
  std::unique_ptr<ZeroCopyOutputStream> stream(context->Open(path));
  Printer printer(stream.get(), '$');
  (generator.*part)(&printer);
  return !printer.failed();
}

bool GenerateFile(const FileDescriptor& file, const Parameters& parameters,
                  const Annotations& annotations, GeneratorContext* context) {
  const FileGenerator generator(file, annotations);
  const std::string base = StripProtoSuffix(file.name());
  return WriteFile(context, base + ".spoolrpc.pb.h", generator, &FileGenerator::GenerateHeader) &&
         WriteFile(context, base + ".spoolrpc.pb.cc", generator, &FileGenerator::GenerateSource) &&
         (!parameters.generate_mock_code ||
          WriteFile(context, base + "_mock.spoolrpc.pb.h", generator,
                    &FileGenerator::GenerateMockHeader));
}

}  // namespace

bool Generator::Generate(const FileDescriptor* file, const std::string& parameter,
                         GeneratorContext* context, std::string* error) const {
  return GenerateAll({file}, parameter, context, error);
}

bool Generator::GenerateAll(const std::vector<const FileDescriptor*>& files,
                            const std::string& parameter, GeneratorContext* context,
                            std::string* error) const {
  const absl::StatusOr<Parameters> parameters = ParseParameters(parameter);
  if (!parameters.ok()) {
    *error = std::string(parameters.status().message());
    return false;
  }
  std::vector<std::string> errors;
  for (const FileDescriptor* file : files) {
    const Annotations annotations(*file, &errors);
    if (!errors.empty()) continue;
    if (!GenerateFile(*file, *parameters, annotations, context)) {
      errors.push_back(absl::StrCat(file->name(), ": the generated code could not be written"));
    }
  }
  *error = absl::StrJoin(errors, "\n");
  return errors.empty();
}

}  // namespace spoolrpc::compiler
