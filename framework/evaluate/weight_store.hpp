// From what each rank owns to the weights that a model computes with.
#pragma once
#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "model/language_model.hpp"
#include "params/shard_layout.hpp"
#include "params/windows.hpp"

namespace lawa {

/// Gathers the ranks' local weights into a model, as the type that it keeps: all of them at once, or, where windows are shared, each unit
/// when it is used. Every function is collective, where windows are shared fetch() too: then all ranks must make a model's calls together.
class WeightStore {
 public:
  /// model: made with windows.groups(), and with a Fetch that calls fetch() where windows are shared. What is passed by reference must
  /// outlive it.
  WeightStore(const Communicator& comm, const ShardLayout& layout, const Windows& windows, const LanguageModel& model);

  /// From now on the model computes with these weights, a local buffer. Where windows are shared, its elements are read until the next call.
  void set(const Exec& exec, const Vector<float>& local);
  /// Brings the window of a group's unit, if it isn't there.
  void fetch(const Exec& exec, int64_t group);

 private:
  void gather(const Exec& exec, int64_t unit);

  struct Slot {
    int64_t unit = -1;  ///< whose bucket is there
    bool head = false;  ///< its head, too
  };
  const Communicator* comm_;
  const ShardLayout* layout_;
  const Windows* windows_;
  const LanguageModel* model_;
  Vector<float> local_{};
  std::vector<Slot> slots_;
};

/// Which rank's model, whose windows aren't shared, has other weights than those that WeightStore::set() brings there; "" where none has.
/// Collective.
std::string where_weights_differ(const Exec& exec, const Communicator& comm, const ShardLayout& layout, const Vector<float>& local,
                                 const LanguageModel& model);

}  // namespace lawa
