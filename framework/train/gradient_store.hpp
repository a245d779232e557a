// From a model's gradients to the sum over the ranks of what each owns.
#pragma once
#include "comm/communicator.hpp"
#include "params/shard_layout.hpp"
#include "params/windows.hpp"

namespace lawa {

/// A step's gradients go through here as the backward ends with them, the last bucket first: the same order on every rank. Where windows
/// are shared, each micro-batch's are summed over the ranks, and added up there; else they are added up in the model, and the last
/// micro-batch's go.
class GradientStore {
 public:
  /// gradients: the model's, in its windows. What is passed by reference must outlive it.
  GradientStore(const Communicator& comm, const ShardLayout& layout, const Windows& windows, const Vector<float>& gradients);

  /// Elements that are kept of a micro-batch, where windows are shared.
  static int64_t micro_batch_size(const ShardLayout& layout);

  /// Before a micro-batch whose gradients go through here. first: of the step.
  void begin(bool first);
  /// The gradients from `begin` of the flat space on are there. Collective.
  void finish(const Exec& exec, int64_t begin);
  /// Of what I own, a local buffer.
  const Vector<float>& mine() const { return mine_; }

 private:
  const Communicator* comm_;
  const ShardLayout* layout_;
  const Windows* windows_;
  Vector<float> gradients_, mine_;
  Vector<float> one_;  ///< of one bucket and micro-batch; nothing where windows aren't shared
  bool first_ = true;
  int64_t open_ = 0;   ///< buckets that haven't gone, counted from the front
};

}  // namespace lawa
