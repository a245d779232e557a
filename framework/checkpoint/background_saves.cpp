#include "checkpoint/background_saves.hpp"

#include <algorithm>

#include "core/tries.hpp"

namespace lawa {

namespace {

constexpr size_t most_under_way = 2;  // one is written while the one before it gets its names

}  // namespace

BackgroundSaves::BackgroundSaves(const Communicator& comm, const ShardLayout& layout, WriteOptions options, SavePolicy policy)
    : comm_(comm), layout_(layout), options_(std::move(options)), policy_(std::move(policy)) {
  policy_.wait |= options_.through_hdf5;
}

void BackgroundSaves::begin(Save save) {
  while (under_way_.size() >= most_under_way || shares_a_file(save)) {
    thread_.wait();
    advance(-comm_.max(-mine()));
  }
  UnderWay one{.save = std::move(save), .arrays = {}};
  for (const FileToSave& file : one.save.files) one.arrays.push_back(on_host(file.arrays, !policy_.wait));
  for (FileToSave& file : one.save.files) file.arrays.clear();
  under_way_.push_back(std::move(one));
  attempt([&] { start(under_way_.back()); });
  if (policy_.wait) finish();
}

/// A stop may save a step's checkpoint once more, with its state.
bool BackgroundSaves::shares_a_file(const Save& save) const {
  return std::ranges::any_of(under_way_, [&](const UnderWay& one) {
    return std::ranges::any_of(one.save.files, [&](const FileToSave& file) {
      return std::ranges::count(save.files, file.path, &FileToSave::path) > 0;
    });
  });
}

void BackgroundSaves::finish() {
  while (!under_way_.empty()) {
    thread_.wait();
    advance(-comm_.max(-mine()));
  }
}

void BackgroundSaves::advance(int64_t of_all) {
  if (under_way_.empty()) return;
  if (of_all == IoThread::failed)
    return attempt([&] {
      thread_.wait();
      comm_.together([&] {
        if (const std::exception_ptr error = thread_.take_error()) std::rethrow_exception(error);
      });
    });
  while (!under_way_.empty() && under_way_.front().stage == Stage::naming && under_way_.front().job <= of_all) {
    const auto done = std::move(under_way_.front().save.done);
    const double seconds = under_way_.front().clock.seconds(), worked = under_way_.front().worked;
    under_way_.pop_front();
    failures_ = 0;
    done(seconds, worked);
  }
  attempt([&] {
    for (UnderWay& one : under_way_)
      if (one.job <= of_all) go_on(one);
  });
}

/// Lays the files out and has them written.
void BackgroundSaves::start(UnderWay& one) {
  for (size_t i = 0; i < one.save.files.size(); ++i) {
    const FileToSave& file = one.save.files[i];
    one.files.emplace_back(comm_, file.path, file.header, layout_, one.arrays[i], options_);
    if (options_.through_hdf5) one.files.back().write();
  }
  give(one, Stage::writing, [this, &one] {
    if (!options_.through_hdf5)
      for (ShardFile& file : one.files) file.write();
  });
}

/// The next stage, where all ranks have ended this one.
void BackgroundSaves::go_on(UnderWay& one) {
  switch (one.stage) {
    case Stage::waiting: return start(one);
    case Stage::writing:
      for (ShardFile& file : one.files) file.gather_checksums();
      if (comm_.nodes() > 1)  // one node can't make durable, nor see, what another one has written
        return give(one, Stage::making_durable, [&one] {
          for (const ShardFile& file : one.files) file.make_durable();
        });
      [[fallthrough]];
    case Stage::making_durable:
      return give(one, Stage::naming, [this, &one] {
        if (comm_.root()) name_files(one);
      });
    case Stage::naming: return;  // advance() ends it
  }
}

void BackgroundSaves::give(UnderWay& one, Stage stage, std::function<void()> job) {
  one.stage = stage;
  one.job = thread_.give([&one, job = std::move(job)] {
    const Stopwatch clock;
    job();
    one.worked += clock.seconds();
  });
}

void BackgroundSaves::name_files(UnderWay& one) {
  one.save.before_names();
  auto file = one.files.begin();
  for (const FileToSave& described : one.save.files) described.named((file++)->seal());
  one.save.behind_names();
}

/// work(); where it fails, on all ranks alike, everything that is under way begins again behind a pause, if there is another try.
void BackgroundSaves::attempt(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    thread_.wait();
    thread_.take_error();
    for (UnderWay& one : under_way_) one.files.clear();
    if (++failures_ >= policy_.tries || error.exit_code != exit_error) throw;
    policy_.failed(error.what());
    const auto pause = pause_behind(failures_);
    for (UnderWay& one : under_way_) give(one, Stage::waiting, [pause] { std::this_thread::sleep_for(pause); });
  }
}

}  // namespace lawa
