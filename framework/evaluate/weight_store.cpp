#include "evaluate/weight_store.hpp"

#include "tensor/convert.hpp"

namespace lawa {

WeightStore::WeightStore(const Communicator& comm, const ShardLayout& layout, const Windows& windows, const LanguageModel& model)
    : comm_(&comm), layout_(&layout), windows_(&windows), model_(&model), slots_(Windows::slots) {}

void WeightStore::set(const Exec& exec, const Vector<float>& local) {
  local_ = local;
  slots_.assign(slots_.size(), {});
  if (windows_->shared()) return;
  for (int64_t unit = 0; unit < windows_->units(); ++unit) gather(exec, unit);
}

void WeightStore::gather(const Exec& exec, int64_t unit) {
  Slot& slot = slots_[static_cast<size_t>(windows_->slot(unit))];
  if (slot.unit == unit) return;
  slot = {.unit = unit, .head = false};
  model_->with_weights([&](const auto& buffer) {
    const auto bucket = slice(buffer, windows_->bucket(unit));
    const Range mine = layout_->local_bucket(unit);
    const int64_t begin = layout_->rank() * mine.size();
    convert(exec, slice(local_, mine), slice(bucket, {begin, begin + mine.size()}));
    comm_->all_gather(exec, bucket);
  });
}

void WeightStore::fetch(const Exec& exec, int64_t group) {
  const int64_t unit = windows_->unit_of(group);
  gather(exec, unit);
  Slot& slot = slots_[static_cast<size_t>(windows_->slot(unit))];
  if (slot.head || windows_->head(unit).empty()) return;
  gather(exec, unit - 1);  // a backward will use it next
  model_->with_weights([&](const auto& buffer) {
    Kokkos::deep_copy(exec, slice(buffer, windows_->head(unit)), slice(buffer, windows_->head_in_bucket_before(unit)));
  });
  slot.head = true;
}

}  // namespace lawa
