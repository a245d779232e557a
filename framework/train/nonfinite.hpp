// Where a number that isn't finite has come from.
#pragma once
#include <optional>
#include <string>

#include "comm/communicator.hpp"
#include "core/json.hpp"
#include "params/parameter_table.hpp"
#include "params/shard_layout.hpp"

namespace lawa {

/// The first tensor, by the order of the model's table, whose gradient isn't finite.
struct Nonfinite {
  std::string tensor;  ///< "": no gradient, but the loss alone
  int rank = 0;        ///< the first one where it is so
  std::string host;    ///< that rank's
  bool in_sum = false; ///< no rank's own gradient, but their sum, which this rank owns

  /// "the gradient of h.0.ln_1.weight isn't finite on rank 1 (host n07)".
  std::string text() const;
  /// {"tensor": …, "rank": …, "host": …}; no tensor where it is the loss alone.
  Json json() const;
};

/// What a step has left on this rank.
struct StepParts {
  double loss;                 ///< this rank's part of it
  const Vector<float>& full;   ///< this rank's own gradients, of all weights; empty where they aren't kept
  const Vector<float>& owned;  ///< a local buffer: the sum of all ranks'
};

/// Nothing where all of it is finite. It reads all gradients: to be asked only where a step's loss or norm isn't finite. Collective.
std::optional<Nonfinite> find_nonfinite(const Exec& exec, const Communicator& comm, const ParameterTable& table, const ShardLayout& layout,
                                        const StepParts& parts);

/// "3: n07": each rank's host, on every rank. Collective.
std::vector<std::string> hosts_of_ranks(const Communicator& comm);

}  // namespace lawa
