// A user's test with mocks: of the own service, and stubs from all kinds of .proto files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "company/internal/notes.spoolrpc.pb.h"
#include "units/converter.spoolrpc.pb.h"
#include "units/thermometer.spoolrpc.pb.h"
#include "weather/v1/forecast_mock.spoolrpc.pb.h"

namespace {

using ::testing::_;
using ::testing::DoAll;
using ::testing::Return;
using ::testing::SetArgPointee;

TEST(UserWorkspaceTest, MocksStandInForStubs) {
  weather::v1::Forecast forecast;
  forecast.mutable_high()->set_kelvin(300);
  weather::v1::MockForecasterStub stub;
  EXPECT_CALL(stub, Get(_, _, _))
      .WillOnce(DoAll(SetArgPointee<2>(forecast), Return(absl::OkStatus())));
  weather::v1::Forecaster::StubInterface* interface = &stub;
  weather::v1::Forecast reply;
  EXPECT_TRUE(interface->Get(nullptr, weather::v1::ForecastRequest(), &reply).ok());
  EXPECT_EQ(reply.high().kelvin(), 300);
}

TEST(UserWorkspaceTest, AllServicesAreThere) {
  EXPECT_STREQ(company::notes::Notes::service_full_name(), "company.notes.Notes");
  EXPECT_STREQ(units::Converter::service_full_name(), "units.Converter");
  EXPECT_STREQ(units::Thermometer::service_full_name(), "units.Thermometer");
  EXPECT_EQ(units::Converter::Service().methods().size(), 1);
}

}  // namespace
