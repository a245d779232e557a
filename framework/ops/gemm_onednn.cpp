#include <oneapi/dnnl/dnnl.h>

#include <bit>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <tuple>
#include <vector>

#include "ops/gemm.hpp"

namespace lawa::detail {
namespace {

using dnnl::memory;

memory::desc strided(int64_t n, int64_t m, memory::data_type type, int64_t stride, bool transposed) {
  return {{n, m}, type, transposed ? memory::dims{1, stride} : memory::dims{stride, 1}};
}

/// (rows, columns) floats to bfloat16, the nearest and ties to even, without gaps between rows. A NaN may become infinity.
void narrow(const float* x, int64_t rows, int64_t columns, int64_t stride, std::vector<uint16_t>& out) {
  out.resize(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < rows; ++i) {
    const float* const from = x + i * stride;
    uint16_t* const to = out.data() + i * columns;
#pragma omp simd
    for (int64_t j = 0; j < columns; ++j) {
      const auto bits = std::bit_cast<uint32_t>(from[j]);
      to[j] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
  }
}

/// Products of bfloat16 numbers with float32 sums: oneDNN's primitives by shape, and room for the narrowed operands.
class Bf16Products {
 public:
  struct Shape {
    bool transpose_a, transpose_b;
    int64_t m, n, k;
    float alpha, beta;
    int64_t stride_c;
    auto operator<=>(const Shape&) const = default;
  };

  void run(const Shape& s, const float* a, int64_t stride_a, const float* b, int64_t stride_b, float* c) {
    narrow(a, s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k, stride_a, a_);
    narrow(b, s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n, stride_b, b_);
    const auto found = products_.find(s);
    const Product& product = found != products_.end() ? found->second : products_.emplace(s, make(s)).first->second;
    const memory in_a(product.a, engine_, a_.data()), in_b(product.b, engine_, b_.data()), out(product.c, engine_, c);
    product.primitive.execute(stream_, {{DNNL_ARG_SRC, in_a}, {DNNL_ARG_WEIGHTS, in_b}, {DNNL_ARG_DST, out}});
    stream_.wait();
  }

 private:
  struct Product {
    memory::desc a, b, c;
    dnnl::matmul primitive;
  };
  Product make(const Shape& s) const {
    const auto a = strided(s.m, s.k, memory::data_type::bf16, s.transpose_a ? s.m : s.k, s.transpose_a);
    const auto b = strided(s.k, s.n, memory::data_type::bf16, s.transpose_b ? s.k : s.n, s.transpose_b);
    const auto c = strided(s.m, s.n, memory::data_type::f32, s.stride_c, false);
    dnnl::primitive_attr attributes;
    if (s.alpha != 1) attributes.set_output_scales(0, {s.alpha});
    if (s.beta != 0) {
      dnnl::post_ops sum;
      sum.append_sum(s.beta);
      attributes.set_post_ops(sum);
    }
    return {a, b, c, dnnl::matmul(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), attributes, engine_))};
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::map<Shape, Product> products_;
  std::vector<uint16_t> a_, b_;
};

}  // namespace

void gemm(void*, Precision precision, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
          int64_t stride_a, const float* b, int64_t stride_b, float beta, float* c, int64_t stride_c) {
  if (precision == Precision::bf16) {
    thread_local Bf16Products products;
    try {
      return products.run({transpose_a, transpose_b, m, n, k, alpha, beta, stride_c}, a, stride_a, b, stride_b, c);
    } catch (const dnnl::error& error) {
      fail(__FILE__, __LINE__, "oneDNN: bf16 product of ", m, " x ", n, " x ", k, ": ", error.what());
    }
  }
  const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, stride_a, b,
                                          stride_b, beta, c, stride_c);
  LAWA_CHECK(status == dnnl_success, "oneDNN: sgemm of ", m, " x ", n, " x ", k, " failed with status ", static_cast<int>(status));
}

bool multiplies_in(Precision precision) {
  constexpr auto needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);  // a set of bits, one an extension
  return precision == Precision::fp32 || (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & needed) == needed;
}

}  // namespace lawa::detail
