#include "evaluate/weight_store.hpp"

#include "core/hash.hpp"
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

namespace {

/// How many of a rank's weights aren't in the model as it keeps them.
template <class T>
int64_t count_others(const Exec& exec, const ShardLayout& layout, const Vector<float>& local, const Vector<T>& full) {
  int64_t others = 0;
  for (const auto& [range, begin] : layout.mine()) {
    const float* const mine = local.data() + begin;
    const T* const there = full.data() + range.begin;
    int64_t some = 0;
    Kokkos::parallel_reduce("lawa::count_others", over(exec, range.size()), KOKKOS_LAMBDA(int64_t i, int64_t& count) {
      T expected;
      expected = mine[i];
      if (static_cast<float>(expected) != static_cast<float>(there[i])) ++count;
    }, some);
    others += some;
  }
  return others;
}

}  // namespace

std::string where_weights_differ(const Exec& exec, const Communicator& comm, const ShardLayout& layout, const Vector<float>& local,
                                 const LanguageModel& model) {
  std::string mine;
  model.with_weights([&](const auto& full) {
    const auto copy = on_host(slice(full, {0, layout.size()}));
    mine = concat(count_others(exec, layout, local, full), " ", hash64(std::as_bytes(std::span(copy.data(), copy.size()))));
  });
  const auto all = comm.gather(mine);
  for (size_t rank = 0; rank < all.size(); ++rank) {
    const auto at = all[rank].find(' ');
    if (all[rank].substr(0, at) != "0") return concat("rank ", rank, "'s model has other weights than those that it owns");
    if (all[rank].substr(at) != all[0].substr(all[0].find(' '))) return concat("rank ", rank, "'s model has other weights than rank 0's");
  }
  return "";
}

}  // namespace lawa
