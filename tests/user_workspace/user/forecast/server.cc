// server SPOOL: serves until it is killed.
#include <cstdio>
#include <memory>

#include "spoolrpc/spoolrpc.h"
#include "units/thermometer.spoolrpc.pb.h"
#include "weather/v1/forecast.spoolrpc.pb.h"

class ForecasterImpl final : public weather::v1::Forecaster::Service {
 public:
  absl::Status Get(spoolrpc::ServerContext* context, const weather::v1::ForecastRequest* request,
                   weather::v1::Forecast* response) override {
    if (request->place().empty()) return absl::InvalidArgumentError("where?");
    response->mutable_high()->set_kelvin(273 + static_cast<int>(request->place().size()));
    return absl::OkStatus();
  }
};

class ThermometerImpl final : public units::Thermometer::Service {
 public:
  absl::Status Read(spoolrpc::ServerContext* context, const units::Temperature* request,
                    units::Temperature* response) override {
    response->set_kelvin(request->kelvin() + 1);
    return absl::OkStatus();
  }
};

int main(int argc, char** argv) {
  ForecasterImpl forecaster;
  ThermometerImpl thermometer;
  spoolrpc::ServerBuilder builder;
  builder.AddSpool(argv[1]);
  builder.RegisterService(&forecaster);
  builder.RegisterService(&thermometer);
  absl::StatusOr<std::unique_ptr<spoolrpc::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "%s\n", server.status().ToString().c_str());
    return 1;
  }
  const absl::Status ended = (*server)->Wait();
  fprintf(stderr, "%s\n", ended.ToString().c_str());
  return ended.ok() ? 0 : 1;
}
