#include "spoolrpc/client/durable.h"

namespace spoolrpc {
namespace {

absl::Status NotHere() {
  return absl::UnimplementedError("this channel does not carry durable calls");
}

DurableInterface* Of(const std::shared_ptr<ChannelInterface>& channel) {
  return channel == nullptr ? nullptr : channel->durable();
}

}  // namespace

absl::StatusOr<Ticket> DurableTickets::SubmitMessage(
    const MethodInfo& method, const google::protobuf::MessageLite& request,
    const std::function<void(ClientContext*)>& setup, const std::string& reply_type) {
  DurableInterface* const durable = Of(channel_of_tickets_);
  if (durable == nullptr) return NotHere();
  ClientContext context;
  if (setup) setup(&context);
  return durable->Submit(method, &context, request, reply_type);
}

absl::Status DurableTickets::CollectMessage(const Ticket& ticket,
                                            google::protobuf::MessageLite* reply,
                                            absl::Duration wait, ClientContext* context) {
  DurableInterface* const durable = Of(channel_of_tickets_);
  if (durable == nullptr) return NotHere();
  return durable->Collect(ticket, service_of_tickets_, context, reply, wait);
}

absl::Status DurableTickets::Delete(const Ticket& ticket) {
  DurableInterface* const durable = Of(channel_of_tickets_);
  return durable == nullptr ? NotHere() : durable->Delete(ticket);
}

absl::Status DurableTickets::Cancel(const Ticket& ticket) {
  DurableInterface* const durable = Of(channel_of_tickets_);
  return durable == nullptr ? NotHere() : durable->Cancel(ticket);
}

}  // namespace spoolrpc
