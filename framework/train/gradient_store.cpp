#include "train/gradient_store.hpp"

#include <algorithm>

#include "tensor/loops.hpp"

namespace lawa {
namespace {

void add(const Exec& exec, const Vector<float>& sum, const Vector<float>& x) {
  float* const to = sum.data();
  const float* const from = x.data();
  for_elements("lawa::add", exec, {0, rows(sum)}, KOKKOS_LAMBDA(int64_t i) { to[i] += from[i]; });
}

}  // namespace

GradientStore::GradientStore(const Communicator& comm, const ShardLayout& layout, const Windows& windows, const Vector<float>& gradients)
    : comm_(&comm), layout_(&layout), windows_(&windows), gradients_(gradients),
      mine_(comm.size() == 1 ? gradients : zeros<float>("lawa::gradient", layout.local_size())),
      one_(windows.shared() ? zeros<float>("lawa::gradient.micro_batch", micro_batch_size(layout)) : Vector<float>()) {}

int64_t GradientStore::micro_batch_size(const ShardLayout& layout) {
  int64_t largest = 0;
  for (int64_t i = 0; i < layout.buckets(); ++i) largest = std::max(largest, layout.local_bucket(i).size());
  return largest;
}

void GradientStore::begin(bool first) {
  first_ = first;
  open_ = comm_->size() == 1 ? 0 : layout_->buckets();  // a rank that is alone has the sum already
}

void GradientStore::finish(const Exec& exec, int64_t begin) {
  for (; open_ > 0 && layout_->bucket(open_ - 1).begin >= begin; --open_) {
    const int64_t i = open_ - 1;
    const auto bucket = slice(gradients_, windows_->bucket(i)), mine = slice(mine_, layout_->local_bucket(i));
    if (first_) {
      comm_->reduce_scatter_sum(exec, bucket, mine);
    } else {
      const auto one = slice(one_, {0, rows(mine)});
      comm_->reduce_scatter_sum(exec, bucket, one);
      add(exec, mine, one);
    }
    if (windows_->shared() && i > 0)
      Kokkos::deep_copy(exec, slice(gradients_, windows_->head_in_bucket_before(i)), slice(gradients_, windows_->head(i)));
  }
}

}  // namespace lawa
