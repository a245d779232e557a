// Who reads a run's checkpoints while the run goes on: nothing is removed under their hands.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.hpp"

namespace lawa {

/// The file in a run's folder that its readers lock together, and the run alone while it removes something.
inline constexpr const char* readers_lock_name = "readers.lock";

/// Keeps the runs that some places belong to (a run, its folder of checkpoints, or a file in there) from removing anything as long as it
/// lives. Rank 0 holds it. Places elsewhere, runs without the file and file systems without locks are passed over. Collective.
class ReadersLock {
 public:
  ReadersLock(const Communicator& comm, const std::vector<std::string>& places);
  ~ReadersLock();
  ReadersLock(const ReadersLock&) = delete;
  ReadersLock& operator=(const ReadersLock&) = delete;

 private:
  std::vector<int> descriptors_;
};

/// The run's side of it; on one rank.
class Readers {
 public:
  enum class Found { none, some, unknown };  ///< unknown: the file system has no locks
  /// Makes the file in the run's folder, or finds it there. Errors name it.
  explicit Readers(const std::filesystem::path& run);
  ~Readers();
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  /// Whether anybody reads now. While remove() runs, nobody begins to, unless the file system has no locks.
  template <class Remove>
  Found without_readers(Remove&& remove) {
    const Found found = lock();
    remove(found);
    unlock();
    return found;
  }

 private:
  Found lock() const;
  void unlock() const;

  int descriptor_ = -1;
};

}  // namespace lawa
