// A file in memory: where HDF5 makes what is then written by plain calls, whose errors are plain. HDF5 itself may crash when the disk is
// full.
#pragma once
#include <string>

#include "core/byte_file.hpp"

namespace lawa {

/// Empty at first, gone with the object; what is never written takes no room.
class MemoryFile {
 public:
  /// Of what will be the file `of`, which errors name: it would have more bytes than this process may write to a file; there is no room
  /// for a few of them in /dev/shm or the folder for temporary files.
  MemoryFile(const std::filesystem::path& of, int64_t most_bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  const std::string& name() const { return name_; }
  /// Whoever has it open keeps it; a process that is killed leaves nothing behind.
  void forget_name();
  /// Gives `file`, which is empty, the same size, with room on the disk where the file system can say that there is, and the same
  /// bytes. Errors: a full disk.
  void copy_to(const ByteFile& file) const;

 private:
  std::string name_;
  int descriptor_ = -1;
};

}  // namespace lawa
