// cuBLASLt. It knows column-major matrices alone, and a row-major matrix is its transpose there: C = op(A) op(B) is done as
// C^T = op(B)^T op(A)^T, where the stored blocks are those transposes already. Our columns are its rows, along which it adds a bias.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <map>

#include "core/error.hpp"
#include "ops/gemm_backend.hpp"

namespace lawa::detail {
namespace {

using Gelu = Epilogue::Gelu;

void check(cublasStatus_t status) { LAWA_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLASLt: ", cublasLtGetStatusString(status)); }
void check(cudaError_t status) { LAWA_CHECK(status == cudaSuccess, "CUDA: ", cudaGetErrorString(status)); }

cudaDataType_t type_of(Precision precision) { return precision == Precision::bf16 ? CUDA_R_16BF : CUDA_R_32F; }
uint64_t size(int64_t extent) { return static_cast<uint64_t>(extent); }

constexpr uint32_t widest_access = 16;  // bytes: no kernel asks for a stricter alignment
/// Bytes that a pointer is a multiple of, up to the widest access.
uint32_t alignment(const void* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return address == 0 ? widest_access : std::min(widest_access, static_cast<uint32_t>(address & (~address + 1)));
}

/// All that the choice of a kernel depends on.
struct Key {
  Product product;
  Gelu gelu;
  bool residual, bias;
  uint32_t a, b, added, c, bias_alignment, gelu_input;  ///< alignments
  auto operator<=>(const Key&) const = default;
};

/// How one kind of product is done; matrices are named as in Product.
struct Plan {
  bool found = false;
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  cublasLtMatmulDescOpaque_t operation{};
  cublasLtMatrixLayoutOpaque_t a{}, b{}, c{};
  cublasLtMatmulAlgo_t algorithm{};

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof value));
  }
};

cublasLtEpilogue_t kind_of(const Epilogue& e) {
  if (e.gelu == Gelu::backward) return CUBLASLT_EPILOGUE_DGELU;
  if (e.gelu == Gelu::forward) return e.bias != nullptr ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  return e.bias != nullptr ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

/// cuBLASLt on one thread: its handle, its memory, and the plans that it has made. Made at the thread's first product, which must not be
/// recorded into a graph: it takes memory.
class Library {
 public:
  explicit Library(cudaStream_t stream) : stream_(stream) {
    check(cublasLtCreate(&handle_));
    check(cudaMalloc(&workspace_, workspace_bytes + longest_bias * sizeof(float)));
    check(cudaMemsetAsync(float_bias(), 0, longest_bias * sizeof(float), stream_));
  }
  ~Library() {  // the main thread's after Kokkos has ended, but before CUDA's context does
    cudaFree(workspace_);
    cublasLtDestroy(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /// False, with nothing done, where there is no kernel with this epilogue; without an epilogue that is an error.
  bool multiply(cudaStream_t stream, const Product& p, Epilogue e, const void* a, const void* b, void* c) {
    LAWA_CHECK(stream == stream_, "cuBLASLt: a thread's products share a workspace, and go to one stream");
    const bool fused = kind_of(e) != CUBLASLT_EPILOGUE_DEFAULT;
    if (e.gelu != Gelu::none && (p.stride_c % 8 != 0 || alignment(e.gelu_input) < widest_access)) return false;
    const bool widened = e.bias != nullptr && p.inputs != p.output;  // a bias is made of what C is made of
    if (widened && p.n > longest_bias) return false;
    const void* const bias = widened ? float_bias() : e.bias;
    const void* const added = e.residual != nullptr ? e.residual : c;
    const Key key{p, e.gelu, e.residual != nullptr, bias != nullptr, alignment(a), alignment(b), alignment(added), alignment(c), alignment(bias),
                  alignment(e.gelu_input)};
    const auto known = plans_.find(key);
    Plan& plan = known != plans_.end() ? known->second : plans_.emplace(key, make(key, e, bias)).first->second;
    if (!plan.found && (fused || e.residual != nullptr)) return false;
    LAWA_CHECK(plan.found, "cuBLASLt: no kernel for (", p.m, ", ", p.k, ") times (", p.k, ", ", p.n, "), strides ", p.stride_a, ", ", p.stride_b,
               ", ", p.stride_c, ", bfloat16 ", p.inputs == Precision::bf16, " to ", p.output == Precision::bf16, ", addresses multiples of ", key.a,
               ", ", key.b, ", ", key.c, ": ", cublasLtGetStatusString(plan.status));
    if (widened)  // a bfloat16 number is a float's upper half, and the lower one stays zero
      check(cudaMemcpy2DAsync(float_bias() + 2, sizeof(float), e.bias, 2, 2, size(p.n), cudaMemcpyDeviceToDevice, stream_));
    if (bias != nullptr) plan.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    if (e.gelu != Gelu::none) plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, e.gelu_input);
    const float beta = e.residual != nullptr ? 1 : p.beta;
    check(cublasLtMatmul(handle_, &plan.operation, &p.alpha, b, &plan.b, a, &plan.a, &beta, added, &plan.c, c, &plan.c, &plan.algorithm,
                         workspace_, workspace_bytes, stream_));
    return true;
  }

 private:
  static constexpr size_t workspace_bytes = size_t{32} << 20;  // what Hopper's kernels are chosen for
  static constexpr int64_t longest_bias = 65'536;

  char* float_bias() const { return static_cast<char*>(workspace_) + workspace_bytes; }

  Plan make(const Key& key, const Epilogue& e, const void* bias) const {
    const Product& p = key.product;
    Plan plan;
    check(cublasLtMatmulDescInit(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    plan.set(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    plan.set(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE, kind_of(e));
    if (bias != nullptr) plan.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    if (e.gelu != Gelu::none) {
      plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, e.gelu_input);
      plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.stride_c);
    }
    const auto [a_rows, a_columns] = p.transpose_a ? std::pair{p.k, p.m} : std::pair{p.m, p.k};
    const auto [b_rows, b_columns] = p.transpose_b ? std::pair{p.n, p.k} : std::pair{p.k, p.n};
    check(cublasLtMatrixLayoutInit(&plan.a, type_of(p.inputs), size(a_columns), size(a_rows), p.stride_a));
    check(cublasLtMatrixLayoutInit(&plan.b, type_of(p.inputs), size(b_columns), size(b_rows), p.stride_b));
    check(cublasLtMatrixLayoutInit(&plan.c, type_of(p.output), size(p.n), size(p.m), p.stride_c));

    cublasLtMatmulPreferenceOpaque_t preference{};
    check(cublasLtMatmulPreferenceInit(&preference));
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{workspace_bytes});
    // Sums are float: parts of one that are added up afterwards mustn't have been rounded to bfloat16.
    if (p.output == Precision::bf16) prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.b);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.a);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.added);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.c);
    cublasLtMatmulHeuristicResult_t best{};
    int results = 0;
    plan.status = cublasLtMatmulAlgoGetHeuristic(handle_, &plan.operation, &plan.b, &plan.a, &plan.c, &plan.c, &preference, 1, &best, &results);
    if (plan.status == CUBLAS_STATUS_SUCCESS && results > 0) plan.status = best.state;
    plan.found = plan.status == CUBLAS_STATUS_SUCCESS && results > 0;
    plan.algorithm = best.algo;
    return plan;
  }

  cudaStream_t stream_;
  cublasLtHandle_t handle_{};
  void* workspace_ = nullptr;
  std::map<Key, Plan> plans_;
};

bool multiply(void* stream, const Product& p, const Epilogue& e, const void* a, const void* b, void* c) {
  thread_local Library library(static_cast<cudaStream_t>(stream));
  return library.multiply(static_cast<cudaStream_t>(stream), p, e, a, b, c);
}

}  // namespace

bool multiplies_in(Precision) { return true; }

void gemm(void* stream, const Product& p, const void* a, const void* b, void* c) { multiply(stream, p, {}, a, b, c); }

bool fused_gemm(void* stream, const Product& p, const Epilogue& e, const void* a, const void* b, void* c) {
  return multiply(stream, p, e, a, b, c);
}

}  // namespace lawa::detail
