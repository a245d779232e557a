#include <oneapi/dnnl/dnnl.h>

#include <map>
#include <oneapi/dnnl/dnnl.hpp>

#include "core/error.hpp"
#include "ops/gemm_backend.hpp"

namespace lawa::detail {
namespace {

using dnnl::memory;

memory::data_type type_of(Precision precision) { return precision == Precision::bf16 ? memory::data_type::bf16 : memory::data_type::f32; }

memory::desc strided(int64_t n, int64_t m, Precision precision, int64_t stride, bool transposed) {
  return {{n, m}, type_of(precision), transposed ? memory::dims{1, stride} : memory::dims{stride, 1}};
}

/// oneDNN's primitives for products of bfloat16 numbers, each made when it is first asked for.
class Primitives {
 public:
  void run(const Product& p, const void* a, const void* b, void* c) {
    const auto found = made_.find(p);
    const Primitive& primitive = found != made_.end() ? found->second : made_.emplace(p, make(p)).first->second;
    const memory in_a(primitive.a, engine_, const_cast<void*>(a)), in_b(primitive.b, engine_, const_cast<void*>(b));
    const memory out(primitive.c, engine_, c);
    primitive.matmul.execute(stream_, {{DNNL_ARG_SRC, in_a}, {DNNL_ARG_WEIGHTS, in_b}, {DNNL_ARG_DST, out}});
    stream_.wait();
  }

 private:
  struct Primitive {
    memory::desc a, b, c;
    dnnl::matmul matmul;
  };
  Primitive make(const Product& p) const {
    const auto a = strided(p.m, p.k, p.inputs, p.stride_a, p.transpose_a);
    const auto b = strided(p.k, p.n, p.inputs, p.stride_b, p.transpose_b);
    const auto c = strided(p.m, p.n, p.output, p.stride_c, false);
    dnnl::primitive_attr attributes;
    if (p.alpha != 1) attributes.set_output_scales(0, {p.alpha});
    if (p.beta != 0) {
      dnnl::post_ops sum;
      sum.append_sum(p.beta);
      attributes.set_post_ops(sum);
    }
    return {a, b, c, dnnl::matmul(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), attributes, engine_))};
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::map<Product, Primitive> made_;
};

}  // namespace

void gemm(void*, const Product& p, const void* a, const void* b, void* c) {
  if (p.inputs == Precision::bf16) {
    thread_local Primitives primitives;
    try {
      return primitives.run(p, a, b, c);
    } catch (const dnnl::error& error) {
      fail(__FILE__, __LINE__, "oneDNN: bf16 product of ", p.m, " x ", p.n, " x ", p.k, ": ", error.what());
    }
  }
  const dnnl_status_t status = dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, p.alpha,
                                          static_cast<const float*>(a), p.stride_a, static_cast<const float*>(b), p.stride_b, p.beta,
                                          static_cast<float*>(c), p.stride_c);
  LAWA_CHECK(status == dnnl_success, "oneDNN: sgemm of ", p.m, " x ", p.n, " x ", p.k, " failed with status ", static_cast<int>(status));
}

bool multiplies_in(Precision precision) {
  constexpr auto needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);  // a set of bits, one an extension
  return precision == Precision::fp32 || (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & needed) == needed;
}

}  // namespace lawa::detail
