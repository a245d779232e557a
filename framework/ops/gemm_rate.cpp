#include "ops/gemm_rate.hpp"

#include <algorithm>

#include "core/timer.hpp"
#include "ops/gemm.hpp"

namespace lawa {

namespace {

/// Numbers from -1/2 to 1/2 whose bits look random.
template <class S>
void scatter(const Exec& exec, const Matrix<S>& x) {
  S* const to = x.data();
  Kokkos::parallel_for("lawa::gemm_rate", over(exec, static_cast<int64_t>(x.size())), KOKKOS_LAMBDA(int64_t i) {
    const uint32_t mixed = (static_cast<uint32_t>(i) + 1) * 2654435761u;
    to[i] = static_cast<float>((mixed ^ mixed >> 15) & 0xffffu) * 0x1p-16f - 0.5f;
  });
}

template <class S>
double measure(const Exec& exec, int64_t n, double seconds) {
  const auto size = static_cast<size_t>(n);
  const Matrix<S> a("lawa::gemm_rate.a", size, size), b("lawa::gemm_rate.b", size, size);
  const Matrix<float> c("lawa::gemm_rate.c", size, size);
  scatter(exec, a);
  scatter(exec, b);
  const auto product = [&] {
    const Stopwatch clock;
    gemm(exec, 1, block(a), Transpose::no, block(b), Transpose::yes, 0, block(c));
    exec.fence();
    return clock.seconds();
  };
  product();  // the first call sets the library up
  const Stopwatch all;
  double best = product();
  while (all.seconds() < seconds) best = std::min(best, product());
  return 2 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / best;
}

}  // namespace

double measured_gemm_rate(const Exec& exec, Precision precision, int64_t n, double seconds) {
  return precision == Precision::bf16 ? measure<bf16>(exec, n, seconds) : measure<float>(exec, n, seconds);
}

}  // namespace lawa
