// One thread beside the program's own, for work that waits for disks.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace lawa {

/// Does one job after the other, in the order in which they were given. Jobs may make plain system calls; they may not use MPI, HDF5, Kokkos
/// or the log, which belong to the thread that the program began with. After a job's error the jobs behind it are left out, until
/// take_error().
class IoThread {
 public:
  IoThread();
  /// Ends the job that it is at, and does no other.
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  /// Returns its number: 1, 2, …
  int64_t give(std::function<void()> job);
  /// The number of the newest job that is done, all before it too; `failed` once one has ended in an error.
  static constexpr int64_t failed = -1;
  int64_t done() const;
  /// Waits until there is nothing to do.
  void wait() const;
  /// The error of the job that failed, if one did; then every job so far counts as done. Only when it has nothing to do.
  std::exception_ptr take_error();

 private:
  void work();

  mutable std::mutex mutex_{};
  mutable std::condition_variable changed_{};
  std::deque<std::function<void()>> jobs_{};  ///< the first one is being done
  int64_t given_ = 0;
  std::exception_ptr error_{};
  bool ends_ = false;
  std::thread thread_;  ///< last: it uses all of the others
};

}  // namespace lawa
