#include "data/batch_plan.hpp"

#include <algorithm>

#include "core/philox.hpp"

namespace lawa {

BatchPlan::BatchPlan(uint64_t seed, int64_t global_sequences, int64_t micro_sequences, int64_t windows, int rank, int ranks)
    : seed_(seed),
      micro_sequences_(micro_sequences),
      windows_(windows),
      most_micro_batches_(0),
      mine_(split(global_sequences, rank, ranks)) {
  LAWA_CHECK(global_sequences > 0 && micro_sequences > 0 && windows > 0, "a plan of ", global_sequences, " sequences in batches of ",
             micro_sequences, " from ", windows, " windows");
  most_micro_batches_ = ((global_sequences + ranks - 1) / ranks + micro_sequences - 1) / micro_sequences;
}

std::vector<std::vector<int64_t>> BatchPlan::micro_batches(int64_t before) const {
  std::vector<std::vector<int64_t>> batches;
  for (int64_t begin = mine_.begin; begin < mine_.end; begin += micro_sequences_) {
    auto& windows = batches.emplace_back();
    for (int64_t i = begin; i < std::min(begin + micro_sequences_, mine_.end); ++i) {
      const auto index = static_cast<uint64_t>(before + i);
      windows.push_back(static_cast<int64_t>(random_bits(seed_, RandomStream::batches, index) % static_cast<uint64_t>(windows_)));
    }
  }
  return batches;
}

}  // namespace lawa
