// Saves that go on while the run does: what is to be saved is copied at once, a thread of each rank writes it, and the ranks agree on how far
// they are whenever they exchange something anyway.
#pragma once
#include <functional>
#include <list>
#include <vector>

#include "checkpoint/shard_file.hpp"
#include "core/io_thread.hpp"
#include "core/timer.hpp"

namespace lawa {

/// A file of a save.
struct FileToSave {
  std::filesystem::path path;
  FlatHeader header;
  std::vector<ShardArray> arrays;
  /// Called on rank 0 when the file has got its name, on a thread that may make plain calls only.
  std::function<void(const FileRecord&)> named;
};

/// Files that are written one behind the other, and what surrounds them. What stands in it may be called again, where a try fails.
struct Save {
  std::vector<FileToSave> files;
  std::function<void()> before_names = [] {};   ///< on rank 0, before the first file gets its name; plain calls only
  std::function<void()> behind_names = [] {};   ///< on rank 0, when all have got theirs; plain calls only
  /// On all ranks: seconds since it began, and those that this rank's thread has worked at it. May be collective.
  std::function<void(double, double)> done = [](double, double) {};
};

/// How saves go on.
struct SavePolicy {
  bool wait = false;   ///< each is done when begin() returns, and nothing is copied; as it always is through HDF5
  int64_t tries = 1;   ///< of each save, before its error is thrown; behind a failed one is a pause of 1/2 s, 1 s, … 16 s
  std::function<void(const std::string&)> failed = [](const std::string&) {};  ///< on all ranks; a try's error, when another one follows
};

/// At most two saves are under way at a time. Every function but mine() is collective.
class BackgroundSaves {
 public:
  /// What is passed by reference must outlive it.
  BackgroundSaves(const Communicator& comm, const ShardLayout& layout, WriteOptions options, SavePolicy policy);

  /// Errors: of a save that was tried often enough.
  void begin(Save save);
  /// How far this rank is: the least of all ranks' is what advance() wants.
  int64_t mine() const { return thread_.done(); }
  /// Takes the saves as far as they can go. Errors: as begin().
  void advance(int64_t of_all);
  /// Waits until all are done. Errors: as begin().
  void finish();

 private:
  enum class Stage { waiting, writing, making_durable, naming };
  struct UnderWay {
    Save save;
    std::vector<std::vector<HostArray>> arrays;        ///< of each file
    std::list<ShardFile> files{};                      ///< as far as they are laid out
    Stage stage = Stage::waiting;
    int64_t job = 0;                                   ///< that ends this stage
    Stopwatch clock{};
    double worked = 0;                                 ///< seconds of this rank's thread
  };

  bool shares_a_file(const Save& save) const;
  void start(UnderWay& one);
  void go_on(UnderWay& one);
  void give(UnderWay& one, Stage stage, std::function<void()> job);
  void name_files(UnderWay& one);
  void attempt(const std::function<void()>& work);

  const Communicator& comm_;
  const ShardLayout& layout_;
  WriteOptions options_;
  SavePolicy policy_;
  std::list<UnderWay> under_way_{};  ///< the oldest first
  int64_t failures_ = 0;             ///< since a save was done
  IoThread thread_{};                ///< last: its jobs use all of the others
};

}  // namespace lawa
