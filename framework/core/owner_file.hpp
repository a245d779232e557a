// Who works in a folder, where the file system has no locks: a file that its owner renews as long as it lives.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace lawa {

/// Who this process is, for others to read: "node17 4711 88": host, process, and Slurm's job ("-" outside of one).
std::string holder_words();
/// "pid 4711 on node17, job 88" of such words; "" where they aren't any.
std::string holder_name(const std::string& words);

class OwnerFile {
 public:
  static constexpr std::chrono::seconds renewed_every{5}, stale_after{60};

  /// Makes the file, or takes over one that hasn't been renewed for stale_after. Null where another owner renews it: then `holder` is
  /// what it says of itself. Errors: it can't be written.
  static std::unique_ptr<OwnerFile> take(const std::filesystem::path& path, std::string& holder);
  /// Removes the file, if it is still its own.
  ~OwnerFile();
  OwnerFile(const OwnerFile&) = delete;
  OwnerFile& operator=(const OwnerFile&) = delete;

  /// True when this process hasn't renewed the file for so long that another one has taken it over: as far as it knows, which looks
  /// when it renews the file; or `now`.
  bool lost(bool now = false) const;

 private:
  using Clock = std::chrono::steady_clock;

  explicit OwnerFile(std::filesystem::path path);
  bool is_mine() const;
  void renew();

  std::filesystem::path path_;
  std::string words_;
  std::atomic<bool> lost_ = false, over_ = false;
  std::atomic<Clock::time_point> renewed_{Clock::now()};
  std::mutex mutex_;
  std::condition_variable end_;
  std::thread renewing_;  ///< of its own: a step or a save may take longer than others wait
};

}  // namespace lawa
