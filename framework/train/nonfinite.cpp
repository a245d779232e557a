#include "train/nonfinite.hpp"

#include <cmath>

#include "core/host_name.hpp"
#include "optim/adamw.hpp"

namespace lawa {
namespace {

/// A tensor's place in the table, and the lowest rank that has found none before it; nothing where no rank has found one.
struct First {
  int64_t tensor;
  int rank;
};

/// `mine`: the first that this rank has found, or the table's size. Collective.
std::optional<First> first_of_all(const Communicator& comm, int64_t mine, int64_t none) {
  const int64_t tensor = -comm.max(-mine);
  if (tensor == none) return std::nullopt;
  return First{tensor, static_cast<int>(-comm.max(static_cast<int64_t>(mine == tensor ? -comm.rank() : -comm.size())))};
}

/// The first tensor for which is_finite(range) isn't true, or the table's size.
template <class IsFinite>
int64_t first_tensor(const ParameterTable& table, IsFinite&& is_finite) {
  int64_t i = 0;
  for (const Parameter& tensor : table.parameters()) {
    if (!is_finite(tensor.range())) break;
    ++i;
  }
  return i;
}

}  // namespace

std::string Nonfinite::text() const {
  const std::string place = concat(" isn't finite on rank ", rank, " (host ", host, ")");
  if (tensor.empty()) return "the loss" + place;
  return concat(in_sum ? "the sum of all ranks' gradients of " : "the gradient of ", tensor, place);
}

Json Nonfinite::json() const {
  Json json = {{"rank", rank}, {"host", host}};
  if (!tensor.empty()) json["tensor"] = tensor;
  return json;
}

std::optional<Nonfinite> find_nonfinite(const Exec& exec, const Communicator& comm, const ParameterTable& table, const ShardLayout& layout,
                                        const StepParts& parts) {
  const auto none = std::ssize(table.parameters());
  const auto finite = [&](const Vector<float>& some, Range range) { return std::isfinite(squared_norm(exec, slice(some, range))); };
  const auto hosts = hosts_of_ranks(comm);
  const auto found = [&](const First& first, bool in_sum) {
    const std::string tensor = first.tensor < none ? table.parameters()[static_cast<size_t>(first.tensor)].name : "";
    return Nonfinite{tensor, first.rank, hosts[static_cast<size_t>(first.rank)], in_sum};
  };
  if (rows(parts.full) > 0)
    if (const auto first = first_of_all(comm, first_tensor(table, [&](Range range) { return finite(parts.full, range); }), none)) return found(*first, false);
  const auto sum_is_finite = [&](Range range) {
    for (const auto& [owned, local] : layout.mine())
      if (const Range some = intersect(range, owned); !some.empty() && !finite(parts.owned, {local + some.begin - owned.begin, local + some.end - owned.begin}))
        return false;
    return true;
  };
  if (const auto first = first_of_all(comm, first_tensor(table, sum_is_finite), none)) return found(*first, true);
  if (const auto first = first_of_all(comm, std::isfinite(parts.loss) ? none + 1 : none, none + 1)) return found(*first, false);
  return std::nullopt;
}

std::vector<std::string> hosts_of_ranks(const Communicator& comm) { return comm.gather(host_name()); }

}  // namespace lawa
