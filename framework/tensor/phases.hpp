// Where the time goes: named parts of the work, which any Kokkos tool sees, and a clock that adds them up.
#pragma once
#include <Kokkos_Core.hpp>
#include <string>
#include <vector>

#include "core/activity.hpp"

namespace lawa {

/// A part of the work, from here to the end of the scope; its name goes to Kokkos' profiling interface, and through it to the tool that
/// KOKKOS_TOOLS_LIBS names (KOKKOS_PROFILE_LIBRARY before Kokkos 4), and to core/activity.hpp. The name is a literal.
class Phase {
 public:
  explicit Phase(const char* name) {
    begin_part(name);
    Kokkos::Profiling::pushRegion(name);
  }
  ~Phase() {
    Kokkos::Profiling::popRegion();
    end_part();
  }
  Phase(const Phase&) = delete;
  Phase& operator=(const Phase&) = delete;
};

/// The result of work(), which is one phase.
template <class Work>
auto in_phase(const char* name, Work&& work) {
  const Phase phase(name);
  return work();
}

/// Seconds of wall-clock time inside one phase, without those of the phases inside it.
struct PhaseTime {
  std::string outer, inner;  ///< the outermost open phase, and the innermost ("" where that is the same one)
  double seconds = 0;
};

/// Adds up this process's time by phase for as long as it lives; one at a time. It measures nothing where kernels run beside the CPU
/// (their time isn't the time of the call), and where another tool listens already.
class PhaseClock {
 public:
  PhaseClock();
  ~PhaseClock();
  PhaseClock(const PhaseClock&) = delete;
  PhaseClock& operator=(const PhaseClock&) = delete;

  /// In the order in which they first appeared; time outside of all phases has two empty names.
  std::vector<PhaseTime> times() const;

 private:
  bool listening_;
};

}  // namespace lawa
