#include "tensor/phases.hpp"

#include <algorithm>
#include <utility>

#include "core/timer.hpp"
#include "tensor/tensor.hpp"

namespace lawa {
namespace {

struct Listener {
  std::vector<std::string> open;  ///< outermost first
  std::vector<PhaseTime> times;
  Stopwatch clock;

  /// The time since the last change belongs to what is open now.
  void account() {
    const double passed = clock.restart();
    const std::string outer = open.empty() ? "" : open.front(), inner = open.size() < 2 ? "" : open.back();
    const auto known = std::ranges::find_if(times, [&](const PhaseTime& time) { return time.inner == inner && time.outer == outer; });
    if (known == times.end()) times.push_back({outer, inner, passed});
    else known->seconds += passed;
  }
};

Listener* listener = nullptr;  // Kokkos calls back with a name and nothing else: this is where the one PhaseClock is found

void push(const char* name) {
  listener->account();
  listener->open.emplace_back(name);
}
void pop() {
  listener->account();
  listener->open.pop_back();
}

}  // namespace

PhaseClock::PhaseClock() : listening_(kernels_run_at_once && !Kokkos::Profiling::profileLibraryLoaded()) {
  LAWA_CHECK(listener == nullptr, "a second PhaseClock");
  if (!listening_) return;
  listener = new Listener;
  Kokkos::Tools::Experimental::set_push_region_callback(push);
  Kokkos::Tools::Experimental::set_pop_region_callback(pop);
}

PhaseClock::~PhaseClock() {
  if (!listening_) return;
  Kokkos::Tools::Experimental::set_push_region_callback(nullptr);
  Kokkos::Tools::Experimental::set_pop_region_callback(nullptr);
  delete std::exchange(listener, nullptr);
}

std::vector<PhaseTime> PhaseClock::times() const {
  if (!listening_) return {};
  listener->account();
  return listener->times;
}

}  // namespace lawa
