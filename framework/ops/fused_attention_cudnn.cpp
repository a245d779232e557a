// cuDNN's attention, through its C++ frontend. A graph is what cuDNN compiles for one shape: slow to build, so each is built once.
#include <cstring>  // which cudnn_frontend.h uses and doesn't include

#include <cudnn_frontend.h>

#include <algorithm>
#include <compare>
#include <map>
#include <memory>
#include <unordered_map>

#include "core/error.hpp"
#include "ops/fused_attention.hpp"
#include "tensor/device.hpp"

namespace lawa::detail {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Graph;
using fe::graph::Tensor_attributes;

constexpr int64_t fewest_positions = 64;     // a tile of its kernels; few positions are where it has exceptions, as for T = 1
constexpr int64_t widest_head = 128;         // of the backward on every device; the forward alone would take 256
constexpr int64_t channel_multiple = 8;      // 16 bytes of bf16
constexpr int64_t most_workspace = 1 << 29;  // bytes of a backward's workspace, where one sequence needs no more

/// What a graph is built for; the scale is an argument of each run.
struct Form {
  int64_t sequences, heads, length, width;  ///< B, H, T, D
  QkvOrder order;
  bool backward;
  auto operator<=>(const Form&) const = default;
};
Form form_of(const Attention<bf16>& shape, const Matrix<bf16>& qkv, bool backward) {
  return {rows(qkv) / shape.sequence_length, shape.heads, shape.sequence_length, columns(qkv) / (3 * shape.heads), shape.order, backward};
}

void check(cudnnStatus_t status) { LAWA_CHECK(status == CUDNN_STATUS_SUCCESS, "cuDNN: ", cudnnGetErrorString(status)); }
void check(fe::error_t status, const Form& f) {
  LAWA_CHECK(status.is_good(), "cuDNN ", cudnnGetVersion(), ": the ", f.backward ? "backward" : "forward", " of attention, ", f.sequences,
             " sequences of ", f.length, " tokens by ", f.heads, " heads of ", f.width, " channels: ", status.get_message());
}

/// Names of a graph's tensors, and where each is on the device.
namespace uid {
enum : int64_t { scale = 1, q, k, v, y, log_sum, dy, dq, dk, dv };
}
using Places = std::unordered_map<int64_t, void*>;

/// (B, H, T, D): tokens are `row` elements apart, heads `head`.
Tensor_attributes tensor(int64_t name, const Form& f, int64_t row, int64_t head) {
  return Tensor_attributes().set_uid(name).set_dim({f.sequences, f.heads, f.length, f.width}).set_stride({f.length * row, head, row, 1});
}
/// One of q, k and v, or of their gradients: columns of (N, 3C).
Tensor_attributes part_of_qkv(int64_t name, const Form& f) {
  return tensor(name, f, 3 * f.heads * f.width, qkv_columns(f.order, f.heads, f.width).head);
}
/// y or dy, (N, C).
Tensor_attributes like_y(int64_t name, const Form& f) { return tensor(name, f, f.heads * f.width, f.width); }
/// (B, H, T, 1), packed: below cuDNN 9.26 nothing else gives right gradients.
Tensor_attributes log_sums(const Form& f) {
  return Tensor_attributes().set_uid(uid::log_sum).set_dim({f.sequences, f.heads, f.length, 1})
      .set_stride({f.heads * f.length, f.length, 1, 1}).set_data_type(fe::DataType_t::FLOAT);
}
/// A number that the CPU has at each run.
Tensor_attributes factor() {
  return Tensor_attributes().set_uid(uid::scale).set_dim({1, 1, 1, 1}).set_stride({1, 1, 1, 1}).set_is_pass_by_value(true)
      .set_data_type(fe::DataType_t::FLOAT);
}
/// What an operation gives is made by it, and gets its name and place here.
void give(const std::shared_ptr<Tensor_attributes>& result, const Tensor_attributes& as) {
  result->set_output(true).set_uid(as.get_uid()).set_dim(as.get_dim()).set_stride(as.get_stride()).set_data_type(as.get_data_type());
}

void add_forward(Graph& graph, const Form& f) {
  const auto options = fe::graph::SDPA_attributes().set_name("attend").set_attn_scale(graph.tensor(factor())).set_causal_mask(true)
                           .set_generate_stats(true);
  const auto [y, log_sum] = graph.sdpa(graph.tensor(part_of_qkv(uid::q, f)), graph.tensor(part_of_qkv(uid::k, f)),
                                       graph.tensor(part_of_qkv(uid::v, f)), options);
  give(y, like_y(uid::y, f));
  give(log_sum, log_sums(f));
}

void add_backward(Graph& graph, const Form& f) {
  const auto options = fe::graph::SDPA_backward_attributes().set_name("attend_backward").set_attn_scale(graph.tensor(factor()))
                           .set_causal_mask(true).set_deterministic_algorithm(true);
  const auto [dq, dk, dv] =
      graph.sdpa_backward(graph.tensor(part_of_qkv(uid::q, f)), graph.tensor(part_of_qkv(uid::k, f)), graph.tensor(part_of_qkv(uid::v, f)),
                          graph.tensor(like_y(uid::y, f)), graph.tensor(like_y(uid::dy, f)), graph.tensor(log_sums(f)), options);
  give(dq, part_of_qkv(uid::dq, f));
  give(dk, part_of_qkv(uid::dk, f));
  give(dv, part_of_qkv(uid::dv, f));
}

/// cuDNN's handle, the graphs so far, and the workspace that they use in turn.
class Library {
 public:
  /// Made when first asked for; gone before Kokkos and the device are.
  static Library& get() {
    static std::unique_ptr<Library> library;
    if (library == nullptr) {
      library.reset(new Library());
      Kokkos::push_finalize_hook([] { library.reset(); });
    }
    return *library;
  }
  ~Library() {
    graphs_.clear();
    cudnnDestroy(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /// The tensors of `places` beside the scale are on the device.
  void run(const Exec& exec, const Form& form, float scale, Places places) {
    const Graph& graph = built(exec, form);
    places[uid::scale] = &scale;
    check(cudnnSetStream(handle_, static_cast<cudaStream_t>(stream_of(exec))));
    check(graph.execute(handle_, places, workspace_.data()), form);
  }

 private:
  Library() {
    const size_t version = cudnnGetVersion();
    LAWA_CHECK(version >= 90000 && version != 91000 && version != 91001, "cuDNN ", version, " computes attention wrongly or not at all: "
               "version 9 is needed, and neither 9.10.0 nor 9.10.1");
    check(cudnnCreate(&handle_));
  }

  const Graph& built(const Exec& exec, const Form& form) {
    std::shared_ptr<Graph>& graph = graphs_[form];
    if (graph != nullptr) return *graph;
    const auto made = std::make_shared<Graph>();
    made->set_io_data_type(fe::DataType_t::BFLOAT16).set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    form.backward ? add_backward(*made, form) : add_forward(*made, form);
    check(made->build(handle_, {fe::HeurMode_t::A}), form);
    int64_t bytes = 0;
    check(made->get_workspace_size(bytes), form);
    if (bytes > rows(workspace_)) {
      exec.fence();  // what is queued may be using the smaller one
      workspace_ = {};
      workspace_ = uninitialised<char>("lawa::attention_workspace", bytes);
    }
    return *(graph = made);
  }

  cudnnHandle_t handle_ = nullptr;
  std::map<Form, std::shared_ptr<Graph>> graphs_;
  Vector<char> workspace_;
};

/// How many sequences a backward takes at a time. Where it repeats to the bit, cuDNN keeps the gradients of all scores, in bf16 and T
/// rounded up to 128 (Hopper, below 9.25): for a whole batch they would be larger than most activations.
int64_t sequences_at_a_time(const Form& f) {
  if (f.heads * f.length % 4 != 0) return f.sequences;  // each part of log_sum begins at a multiple of 16 bytes
  const int64_t length = (f.length + 127) / 128 * 128, bytes = f.heads * length * length * static_cast<int64_t>(sizeof(bf16));
  const int64_t most = std::clamp<int64_t>(most_workspace / bytes, 1, f.sequences), runs = (f.sequences + most - 1) / most;
  return (f.sequences + runs - 1) / runs;  // as equal as they can be
}

}  // namespace

bool fused_attention_fits(int64_t length, int64_t width) {
  return length >= fewest_positions && width <= widest_head && width % channel_multiple == 0;
}

void fused_attend(const Exec& exec, const Attention<bf16>& shape, const Matrix<bf16>& qkv, const Matrix<float>& log_sum, const Matrix<bf16>& y) {
  const Form form = form_of(shape, qkv, false);
  const QkvColumns at = qkv_columns(shape.order, form.heads, form.width);
  Library::get().run(exec, form, shape.scale,
                     {{uid::q, qkv.data() + at.begin(0, 0)}, {uid::k, qkv.data() + at.begin(1, 0)}, {uid::v, qkv.data() + at.begin(2, 0)},
                      {uid::y, y.data()}, {uid::log_sum, log_sum.data()}});
}

void fused_attend_backward(const Exec& exec, const Attention<bf16>& shape, const Matrix<bf16>& qkv, const Matrix<float>& log_sum,
                           const Matrix<bf16>& y, const Matrix<bf16>& dy, const Matrix<bf16>& dqkv) {
  const Form whole = form_of(shape, qkv, true);
  const QkvColumns at = qkv_columns(shape.order, whole.heads, whole.width);
  const int64_t B = whole.sequences, step = sequences_at_a_time(whole);
  for (int64_t first = 0; first < B; first += step) {
    Form some = whole;
    some.sequences = std::min(step, B - first);
    const int64_t n = first * whole.length;  // the first row
    bf16 *const from = qkv.data() + n * columns(qkv), *const to = dqkv.data() + n * columns(dqkv);
    Library::get().run(exec, some, shape.scale,
                       {{uid::q, from + at.begin(0, 0)}, {uid::k, from + at.begin(1, 0)}, {uid::v, from + at.begin(2, 0)},
                        {uid::y, y.data() + n * columns(y)}, {uid::dy, dy.data() + n * columns(dy)},
                        {uid::log_sum, log_sum.data() + first * whole.heads * whole.length},
                        {uid::dq, to + at.begin(0, 0)}, {uid::dk, to + at.begin(1, 0)}, {uid::dv, to + at.begin(2, 0)}});
  }
}

}  // namespace lawa::detail
