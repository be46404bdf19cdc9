// client SPOOL: calls two services and prints what they answer.
#include <cstdio>
#include <memory>

#include "spoolrpc/spoolrpc.h"
#include "units/thermometer.spoolrpc.pb.h"
#include "weather/v1/forecast.spoolrpc.pb.h"

namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  absl::StatusOr<std::shared_ptr<spoolrpc::Channel>> channel = spoolrpc::CreateChannel(argv[1]);
  if (!channel.ok()) return Fail(channel.status());

  std::unique_ptr<weather::v1::Forecaster::Stub> forecaster =
      weather::v1::Forecaster::NewStub(*channel);
  weather::v1::ForecastRequest request;
  request.set_place("Uppsala");
  weather::v1::Forecast forecast;
  spoolrpc::ClientContext forecast_context;
  absl::Status status = forecaster->Get(&forecast_context, request, &forecast);
  if (!status.ok()) return Fail(status);
  printf("forecast: %d K\n", forecast.high().kelvin());

  spoolrpc::ClientContext nowhere_context;
  status = forecaster->Get(&nowhere_context, weather::v1::ForecastRequest::default_instance(),
                           &forecast);
  printf("nowhere: %s\n", status.ToString().c_str());

  std::unique_ptr<units::Thermometer::Stub> thermometer = units::Thermometer::NewStub(*channel);
  units::Temperature warmer;
  spoolrpc::ClientContext thermometer_context;
  status = thermometer->Read(&thermometer_context, forecast.high(), &warmer);
  if (!status.ok()) return Fail(status);
  printf("thermometer: %d K\n", warmer.kelvin());
  return 0;
}
