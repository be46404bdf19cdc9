// What `spoolrpc doctor` prints.
#ifndef SPOOLRPC_CLI_DOCTOR_REPORT_H_
#define SPOOLRPC_CLI_DOCTOR_REPORT_H_

#include <string>

#include "cli/doctor/doctor.h"
#include "spoolrpc/status.pb.h"

namespace spoolrpc::cli {

// A table of the checks, the verdict and the settings.
std::string DoctorText(const doctor::Diagnosis& diagnosis);
// For --json.
DoctorDocument ToDocument(const doctor::Diagnosis& diagnosis);

}  // namespace spoolrpc::cli

#endif  // SPOOLRPC_CLI_DOCTOR_REPORT_H_
