// Who the other side is, whether both share memory, and what it has found.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/doctor/pair_checks.h"
#include "spoolrpc/wait/doorbell.h"

namespace spoolrpc::cli::doctor {
namespace {

constexpr char kBell[] = "doorbell";

Finding TellPeer(const Pair& pair, bool one_host) {
  const Hello& own = pair.link->own_hello();
  const Hello& peer = pair.link->peer();
  Finding finding;
  finding.name = "nodes";
  finding.figure = absl::StrCat(own.host(), " and ", peer.host());
  finding.figures["one_host"] = one_host ? 1 : 0;
  const bool one_mount = one_host && own.device() == peer.device();
  finding.figures["one_mount"] = one_mount ? 1 : 0;
  if (one_mount) {
    finding.result = Result::kInfo;
    finding.meaning = "one host and one mount: of two hosts this tells nothing";
  } else if (one_host) {
    finding.meaning = "two mounts on one host";
  } else {
    finding.meaning = "two hosts";
  }
  return finding;
}

// Whether what one writes into a mapped file reaches the other: the owner's nonce comes back.
absl::Status ShareMemory(const Pair& pair, bool one_host) {
  os::SystemCalls* const calls = pair.own->calls();
  // (On a network file system nobody maps anything.)
  const bool local = pair.own->type().local && pair.link->peer().network() == false;
  std::unique_ptr<wait::Doorbell> own, peer;
  absl::Status error;
  if (local) {
    auto made = wait::Doorbell::Create(calls, *pair.own / kBell, 1, 0600);
    error = made.status();
    if (made.ok()) own = *std::move(made);
  }
  if (const auto ready = pair.link->Exchange("doorbell"); !ready.ok()) return ready.status();
  if (own != nullptr) {
    auto attached =
        wait::Doorbell::Attach(calls, pair.link->PeerPath(kBell), pair.link->own_hello().uid());
    error = attached.status();
    if (attached.ok()) {
      peer = *std::move(attached);
      peer->Echo(0);
    }
  }
  if (const auto echoed = pair.link->Exchange("echo"); !echoed.ok()) return echoed.status();
  Finding finding;
  finding.name = "doorbell_shared";
  const bool shared = own != nullptr && own->echoed(0);
  finding.figures["shared"] = shared ? 1 : 0;
  finding.figure = shared ? "shared" : "not shared";
  if (!local) {
    finding.result = Result::kInfo;
    finding.figure = "not used";
    finding.meaning = "on a network file system calls are polled for";
  } else if (shared && one_host) {
    finding.meaning = "each side wakes the other through mapped memory";
  } else if (one_host) {
    finding.result = Result::kWarn;
    finding.meaning = absl::StrCat("mapped memory is not shared, so that calls are polled for",
                                   error.ok() ? "" : ": ", error.message());
  } else {
    finding.result = Result::kWarn;
    finding.meaning = absl::StrCat(pair.own->type().name, " counts as local to one host, and ",
                                   "two hosts see this directory");
    for (const char* name : {"ServerBuilder::set_transport()", "ChannelOptions::transport"}) {
      finding.settings.push_back({name, "spool::Transport::kNetwork",
                                  "writes must be flushed where another host reads them"});
    }
  }
  pair.examination->Add(std::move(finding));
  return absl::OkStatus();
}

}  // namespace

void CheckPeer(const Pair& pair) {
  const Hello& own = pair.link->own_hello();
  const Hello& peer = pair.link->peer();
  const bool one_host = !own.boot_id().empty() && own.boot_id() == peer.boot_id();
  pair.examination->Step("nodes", [&]() -> absl::Status {
    pair.examination->Add(TellPeer(pair, one_host));
    const absl::Status status = ShareMemory(pair, one_host);
    // What follows is measured as the runtime should work here.
    if (!one_host && !peer.network() && !pair.own->network()) pair.own->UseNetworkRules();
    return status;
  });
}

void CheckSummary(const Pair& pair) {
  pair.examination->Step("summary", [&]() -> absl::Status {
    Summary own;
    for (const Finding& finding : pair.examination->findings()) {
      if (finding.result == Result::kInfo) continue;
      Summary::Check* const check = own.add_checks();
      check->set_name(finding.name);
      check->set_result(static_cast<int>(finding.result));
      for (const Setting& setting : finding.settings) {
        Summary::Setting* const one = own.add_settings();
        one->set_name(setting.name);
        one->set_value(setting.value);
        one->set_why(setting.why);
        one->set_weight(setting.weight);
      }
    }
    const auto peer = pair.link->ExchangeMessage("summary", own);
    if (!peer.ok()) return peer.status();
    Finding finding;
    finding.name = "other_node";
    std::vector<std::string> bad;
    for (const Summary::Check& check : peer->checks()) {
      if (check.result() < static_cast<int>(Result::kOk) ||
          check.result() > static_cast<int>(Result::kFail)) {
        continue;
      }
      const Result result = static_cast<Result>(check.result());
      finding.Worsen(result);
      if (result != Result::kOk) {
        bad.push_back(absl::StrCat(check.name(), " ", ResultName(result)));
      }
    }
    for (const Summary::Setting& setting : peer->settings()) {
      finding.settings.push_back(
          {setting.name(), setting.value(), setting.why(), setting.weight()});
    }
    finding.figure = absl::StrCat(peer->checks_size(), " checks");
    finding.figures["checks"] = peer->checks_size();
    finding.figures["not_ok"] = static_cast<double>(bad.size());
    finding.meaning = bad.empty() ? absl::StrCat("all is well on ", pair.link->peer().host())
                                  : absl::StrCat("found there: ", absl::StrJoin(bad, ", "));
    pair.examination->Add(std::move(finding));
    // Who has this has seen that the other has read the summary, and may go; then the other may
    // not see it any more.
    pair.link->Exchange("bye").status().IgnoreError();
    return absl::OkStatus();
  });
}

}  // namespace spoolrpc::cli::doctor
