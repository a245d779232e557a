// From what each rank owns to a model's full weights.
#pragma once
#include "comm/communicator.hpp"
#include "model/language_model.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

/// Brings the ranks' local weights into the model, as the type that it keeps. Collective.
void gather_weights(const Exec& exec, const Communicator& comm, const ShardLayout& layout, const Vector<float>& local,
                    const LanguageModel& model);

}  // namespace lawa
