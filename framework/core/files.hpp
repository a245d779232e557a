// Small files that appear whole or not at all.
#pragma once
#include <filesystem>
#include <string>
#include <utility>

namespace lawa {

/// The file's bytes. Errors: ByteFile's.
std::string read_file(const std::filesystem::path& path);

/// Makes a folder with its parents, or finds it there. Errors name it.
void make_folder(const std::filesystem::path& path);

/// Errors: a path that isn't UTF-8, as configs and results are.
void check_is_utf8(const std::filesystem::path& path);

/// Errors: the file system takes no name as long as folder/below, or as one of below's parts. `folder` exists; what is below needn't.
void check_fits(const std::filesystem::path& folder, const std::filesystem::path& below);

/// Makes what was written to `path` (a file or a folder) survive a power cut: fsync.
void make_durable(const std::filesystem::path& path);

/// The same, of a folder with everything in it.
void make_all_durable(const std::filesystem::path& path);

/// `path` with ".part" behind it: the name under which a file is written before it is whole.
std::filesystem::path part_of(const std::filesystem::path& path);

/// Renames part_of(path) to `path`; durably unless told otherwise: fsync of the file, rename, fsync of the folder.
void commit_file(const std::filesystem::path& path, bool durably = true);

/// Removes part_of(path) when it goes out of scope, unless it has got its name by then or another process has to write it.
class PartGuard {
 public:
  explicit PartGuard(std::filesystem::path path, bool mine = true) : path_(std::move(path)), mine_(mine) {}
  ~PartGuard();
  void keep() { mine_ = false; }
  PartGuard(PartGuard&& other) noexcept : path_(std::move(other.path_)), mine_(std::exchange(other.mine_, false)) {}
  PartGuard(const PartGuard&) = delete;
  PartGuard& operator=(const PartGuard&) = delete;

 private:
  std::filesystem::path path_;
  bool mine_;
};

/// Writes a whole file, durably unless told otherwise; an older file of that name is replaced in one step. After an error nothing is left.
void write_file(const std::filesystem::path& path, const std::string& text, bool durably = true);

/// Puts a text behind a file's end, or makes the file with it; handed to the system at once.
void append_to_file(const std::filesystem::path& path, const std::string& text);

}  // namespace lawa
