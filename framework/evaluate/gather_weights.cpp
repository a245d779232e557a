#include "evaluate/gather_weights.hpp"

#include "tensor/convert.hpp"

namespace lawa {

void gather_weights(const Exec& exec, const Communicator& comm, const ShardLayout& layout, const Vector<float>& local,
                    const LanguageModel& model) {
  model.with_weights([&](const auto& full) {
    for (int64_t i = 0; i < layout.buckets(); ++i) {
      const auto bucket = slice(full, layout.bucket(i));
      const Range mine = layout.local_bucket(i);
      const int64_t begin = layout.rank() * mine.size();
      convert(exec, slice(local, mine), slice(bucket, {begin, begin + mine.size()}));
      comm.all_gather(exec, bucket);
    }
  });
}

}  // namespace lawa
