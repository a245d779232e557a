// How fast each operation of a training step is, at one shape, beside what its bytes and its arithmetic ask for:
//
//   build/cuda/bin/benchmark_kernels [SEQUENCES [LENGTH [CHANNELS [HEADS [VOCABULARY]]]]]      default: 64 1024 768 12 50304
//
// One JSON line an operation on stdout: seconds of the median call in bfloat16, the fewest bytes that it must move, and its operations. A
// product's numbers are random: on zeros it would be faster.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "comm/program.hpp"
#include "core/json.hpp"
#include "core/philox.hpp"
#include "core/timer.hpp"
#include "ops/attend.hpp"
#include "ops/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/unfused.hpp"
#include "tensor/convert.hpp"
#include "tensor/cursor.hpp"
#include "tensor/device.hpp"
#include "tensor/loops.hpp"

namespace lawa {
namespace {

struct Shape {
  int64_t sequences = 64, length = 1024, channels = 768, heads = 12, vocabulary = 50304;
};

/// Fills n numbers from -1 to 1.
template <class T>
void draw(T* to, int64_t n) {
  for_elements("lawa::draw", Exec(), {0, n}, KOKKOS_LAMBDA(int64_t i) {
    uint64_t bits = static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15u;
    bits = (bits ^ bits >> 29) * 0xbf58476d1ce4e5b9u;
    to[i] = static_cast<float>(bits >> 40) * 0x1p-23f - 1;
  });
}
template <class T>
Matrix<T> random(int64_t n, int64_t m) {
  const Matrix<T> x(Kokkos::view_alloc(Kokkos::WithoutInitializing, "lawa::random"), static_cast<size_t>(n), static_cast<size_t>(m));
  draw(x.data(), n * m);
  return x;
}
template <class T>
Vector<T> random(int64_t n) {
  const Vector<T> x = uninitialised<T>("lawa::random", n);
  draw(x.data(), n);
  return x;
}

/// Prints one line for work(): the median of ten calls behind two that don't count.
template <class Work>
void measure(const char* name, double bytes, double flops, Work&& work) {
  std::vector<double> seconds;
  for (int i = -2; i < 10; ++i) {
    Exec().fence();
    const Stopwatch clock;
    work();
    Exec().fence();
    if (i >= 0) seconds.push_back(clock.seconds());
  }
  std::ranges::sort(seconds);
  const double median = seconds[seconds.size() / 2];
  std::printf("%s\n", Json{{"operation", name}, {"seconds", median}, {"bytes", bytes}, {"flops", flops}, {"bytes_per_second", bytes / median},
                           {"flops_per_second", flops / median}}.dump().c_str());
  std::fflush(stdout);
}

void norms(const Exec& exec, int64_t N, int64_t C) {
  const auto n = static_cast<double>(N), c = static_cast<double>(C);
  const Matrix<float> x = random<float>(N, C), dx = random<float>(N, C);
  const Matrix<bf16> y = random<bf16>(N, C), dy = random<bf16>(N, C);
  const Norm<bf16> p{random<bf16>(C), random<bf16>(C)};
  const Norm<float> dp{random<float>(C), random<float>(C)};
  const NormStatistics statistics{random<float>(N), random<float>(N)};
  measure("norm", n * c * 6, 0, [&] { norm(exec, x, p, statistics, y); });
  measure("norm_backward", n * c * 16, 0, [&] { norm_backward(exec, x, p, statistics, dy, dx, y, dp); });
  measure("convert", n * c * 6, 0, [&] { convert(exec, dx, dy); });
}

void products(const Exec& exec, int64_t N, int64_t in, int64_t out, const char* forward, const char* backward) {
  const auto n = static_cast<double>(N), i = static_cast<double>(in), o = static_cast<double>(out);
  const Matrix<bf16> x = random<bf16>(N, in), y = random<bf16>(N, out), dx = random<bf16>(N, in), dy = random<bf16>(N, out);
  const Affine<bf16> p{random<bf16>(out, in), {}};
  const Affine<float> dp{random<float>(out, in), {}};
  measure(forward, 2 * (n * i + n * o + i * o), 2 * n * i * o, [&] { affine(exec, x, p, y); });
  measure(backward, 2 * (2 * n * i + 2 * n * o + i * o) + 8 * i * o, 4 * n * i * o, [&] { affine_backward(exec, x, p, dy, dx, dp); });
}

/// What is fused with a product on a device, beside the same one at a time.
void fused(const Exec& exec, int64_t N, int64_t C) {
  const auto n = static_cast<double>(N), c = static_cast<double>(C);
  const double flops = 8 * n * c * c, more = 8 * c * c;
  const Matrix<bf16> x = random<bf16>(N, C), dy = random<bf16>(N, C), f = random<bf16>(N, 4 * C), g = random<bf16>(N, 4 * C), df = random<bf16>(N, 4 * C);
  const Matrix<float> residual = random<float>(N, C), sum = random<float>(N, C);
  const Affine<bf16> wide{random<bf16>(4 * C, C), {}}, narrow{random<bf16>(C, 4 * C), {}};
  const Affine<float> gradient{random<float>(C, 4 * C), {}};
  measure("affine_add", n * c * 16 + more, flops, [&] { affine_add(exec, g, narrow, residual, sum); });
  measure("affine_add_unfused", n * c * 24 + more, flops, [&] { unfused::affine_add(exec, g, narrow, residual, sum); });
  measure("affine_gelu", n * c * 18 + more, flops, [&] { affine_gelu(exec, x, wide, Gelu::tanh, f, g); });
  measure("affine_gelu_unfused", n * c * 26 + more, flops, [&] { unfused::affine_gelu(exec, x, wide, Gelu::tanh, f, g); });
  measure("affine_gelu_backward", n * c * 28 + more, 2 * flops, [&] { affine_gelu_backward(exec, g, narrow, dy, Gelu::tanh, f, df, gradient); });
  measure("affine_gelu_backward_unfused", n * c * 44 + more, 2 * flops,
          [&] { unfused::affine_gelu_backward(exec, g, narrow, dy, Gelu::tanh, f, df, gradient); });
}

void attention(const Exec& exec, const Shape& shape) {
  const int64_t B = shape.sequences, T = shape.length, C = shape.channels, H = shape.heads;
  const auto n = static_cast<double>(B * T), c = static_cast<double>(C), t = static_cast<double>(T);
  Cursor measured;
  AttentionRoom<bf16>::map(measured, T, C / H, true);
  const Vector<char> store = uninitialised<char>("lawa::room", measured.used());
  Cursor at(store.data());
  const Attention<bf16> attention{H, T, 0.125f, AttentionRoom<bf16>::map(at, T, C / H, true)};
  const Matrix<bf16> qkv = random<bf16>(B * T, 3 * C), dqkv = random<bf16>(B * T, 3 * C), y = random<bf16>(B * T, C), dy = random<bf16>(B * T, C);
  const Matrix<float> log_sum = random<float>(B * H, T);
  measure("attend", n * c * 8, 2 * n * t * c, [&] { attend(exec, attention, qkv, log_sum, y); });
  measure("attend_backward", n * c * 16, 5 * n * t * c, [&] { attend_backward(exec, attention, qkv, log_sum, y, dy, dqkv); });
}

void elementwise(const Exec& exec, int64_t N, int64_t F) {
  const auto n = static_cast<double>(N), f = static_cast<double>(F);
  const Matrix<bf16> x = random<bf16>(N, F), y = random<bf16>(N, F);
  const Vector<float> sums = random<float>(F);
  const Matrix<bf16> from = y;
  measure("gelu", n * f * 4, 0, [&] { gelu(exec, Gelu::tanh, {}, x, y); });
  measure("gelu_backward", n * f * 6, 0, [&] { gelu_backward(exec, Gelu::tanh, x, y, y); });
  measure("column_sums", n * f * 2, 0, [&] { add_column_sums(exec, N, sums, KOKKOS_LAMBDA(int64_t row, int64_t c) -> float { return from(row, c); }); });
}

void head(const Exec& exec, int64_t rows, int64_t V) {
  const auto n = static_cast<double>(rows), v = static_cast<double>(V);
  const Matrix<float> z = random<float>(rows, V);
  const Matrix<bf16> dz = random<bf16>(rows, V);
  const Vector<double> losses = zeros<double>("lawa::losses", rows);
  const Tokens targets("lawa::targets", static_cast<size_t>(rows));
  measure("cross_entropy_backward", n * v * 10, 0, [&] { cross_entropy_backward(exec, z, targets, 1e-3, losses, dz); });
}

void embedding(const Exec& exec, const Shape& shape) {
  const int64_t N = shape.sequences * shape.length, C = shape.channels, V = shape.vocabulary;
  const auto n = static_cast<double>(N), c = static_cast<double>(C);
  const HostVector<int32_t> drawn("lawa::drawn", static_cast<size_t>(N));
  for (int64_t i = 0; i < N; ++i) drawn(static_cast<size_t>(i)) = static_cast<int32_t>(random_bits(1, RandomStream::test, static_cast<uint64_t>(i)) % static_cast<uint64_t>(V));
  const Tokens ids("lawa::ids", static_cast<size_t>(N));
  copy(ids, drawn);
  const Matrix<bf16> wte = random<bf16>(V, C), wpe = random<bf16>(shape.length, C);
  const Matrix<float> x = random<float>(N, C), dwte = random<float>(V, C), dwpe = random<float>(shape.length, C);
  measure("embed", n * c * 6, 0, [&] { embed(exec, ids, shape.length, wte, wpe, x); });
  measure("embed_backward", n * c * 4, 0, [&] { embed_backward(exec, drawn, shape.length, x, dwte, dwpe); });
}

void run(const Shape& shape) {
  const Exec exec;
  const int64_t N = shape.sequences * shape.length, C = shape.channels;
  norms(exec, N, C);
  elementwise(exec, N, 4 * C);
  embedding(exec, shape);
  attention(exec, shape);
  fused(exec, N, C);
  head(exec, std::min<int64_t>(N, 8192), shape.vocabulary);
  products(exec, N, C, 3 * C, "c_attn", "c_attn_backward");
  products(exec, N, C, C, "attn_c_proj", "attn_c_proj_backward");
  products(exec, N, C, 4 * C, "c_fc", "c_fc_backward");
  products(exec, N, 4 * C, C, "mlp_c_proj", "mlp_c_proj_backward");
  products(exec, std::min<int64_t>(N, 8192), C, shape.vocabulary, "head", "head_backward");
}

}  // namespace
}  // namespace lawa

int main(int argc, char** argv) {
  return lawa::run_program(argc, argv, [](lawa::Communicator&, const std::vector<std::string>& words) {
    lawa::Shape shape;
    int64_t* const numbers[] = {&shape.sequences, &shape.length, &shape.channels, &shape.heads, &shape.vocabulary};
    for (size_t i = 0; i < std::min<size_t>(words.size(), 5); ++i) *numbers[i] = std::stoll(words[i]);
    lawa::run(shape);
  });
}
