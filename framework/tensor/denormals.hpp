// Numbers below 1.2e-38 in arithmetic on a CPU.
#pragma once

namespace lawa {

/// While it lives, this thread's float arithmetic takes and gives zero for denormal numbers. Some processors need a hundred times as
/// long for them, and a run at a high learning rate makes many: attention weights, small gradients and their squares. Averages of
/// checkpoints are made without it: they are exact for every number. No effect where the processor isn't an x86, and on threads that
/// Kokkos owns.
class DenormalsAsZero {
 public:
  DenormalsAsZero();
  ~DenormalsAsZero();
  DenormalsAsZero(const DenormalsAsZero&) = delete;
  DenormalsAsZero& operator=(const DenormalsAsZero&) = delete;

 private:
  unsigned before_ = 0;
};

}  // namespace lawa
