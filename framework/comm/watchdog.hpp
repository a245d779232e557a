// A thread of each rank that tells rank 0's thread every so often that it lives, and what the rank is at; over sockets of its own, so that it
// also works when MPI doesn't. Where a rank is stopped, or cut off, or all wait for one that doesn't come, somebody says so and the job ends,
// instead of waiting for ever.
#pragma once
#include <mpi.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace lawa {

/// Seconds without a sign of life before a job ends: LAWA_HANG_SECONDS, 600 without it; 0: never.
double hang_seconds();

class Watchdog {
 public:
  /// `lost` is called on a thread of its own, on whichever ranks notice; its words name ranks, hosts and what they were at. It should end the
  /// process. Collective; rank 0's seconds count. Nothing is watched on one rank, with 0 seconds, or where rank 0 may open too few sockets.
  Watchdog(MPI_Comm comm, double seconds, std::function<void(const std::string&)> lost);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void rest(bool know_each_other) const;  ///< until the next turn, or the end
  void watch_all(int listener);  ///< rank 0's
  void report();                 ///< the others'

  int rank_ = 0;
  double seconds_;
  std::function<void(const std::string&)> lost_;
  std::vector<std::string> hosts_{};  ///< of all ranks
  std::string addresses_{};           ///< where rank 0 listens: token, port, IPv4 addresses
  std::atomic<bool> ends_ = false;
  mutable std::mutex mutex_{};
  mutable std::condition_variable ended_{};
  std::thread thread_{};              ///< last: it uses all of the others
};

}  // namespace lawa
