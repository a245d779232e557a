#include "doctor/folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <utility>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/host_name.hpp"
#include "doctor/node.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// A small file that is removed when it goes out of scope, or one that another rank has made.
class SmallFile {
 public:
  SmallFile(fs::path path, bool mine)
      : path_(std::move(path)), mine_(mine), descriptor_(::open(path_.c_str(), O_RDWR | O_CLOEXEC | (mine ? O_CREAT | O_EXCL : 0), 0644)) {}
  ~SmallFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    std::error_code ignored;
    if (mine_) fs::remove(path_, ignored);
  }
  SmallFile(const SmallFile&) = delete;
  SmallFile& operator=(const SmallFile&) = delete;

  int descriptor() const { return descriptor_; }  ///< negative where it couldn't be opened

 private:
  fs::path path_;
  bool mine_;
  int descriptor_;
};

/// Tries to lock the whole file for writing: 0, or why not.
int fcntl_lock(int descriptor) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(descriptor, F_SETLK, &whole) == 0 ? 0 : errno;
}
int flock_lock(int descriptor) { return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }

std::string in_words(int error) { return error == 0 ? "" : std::strerror(error); }

double seconds_of(const timespec& time) { return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec); }

/// How far the time that the file system gives a file is ahead of this host's clock.
double clock_ahead(int descriptor) {
  timespec before{}, after{};
  struct stat status {};
  ::clock_gettime(CLOCK_REALTIME, &before);
  const bool stamped = ::futimens(descriptor, nullptr) == 0 && ::fstat(descriptor, &status) == 0;
  ::clock_gettime(CLOCK_REALTIME, &after);
  return stamped ? seconds_of(status.st_mtim) - (seconds_of(before) + seconds_of(after)) / 2 : 0;
}

/// What rank 0 can say alone. Errors: the folder can't be used.
void ask_root(FolderFacts& facts, const fs::path& folder, const ProbeLimits& limits) {
  struct statfs kind {};
  LAWA_CHECK_SYSTEM(::statfs(folder.c_str(), &kind) == 0, folder.string());
  LAWA_CHECK(fs::is_directory(folder), folder.string(), ": is a file");
  facts.file_system = file_system_name(static_cast<uint64_t>(kind.f_type));
  facts.free_files = static_cast<int64_t>(kind.f_ffree);
  facts.free_bytes = free_bytes(folder);
  const FileSystemRates rates = probe_file_system(folder, limits);
  facts.probe_bytes = rates.bytes;
  facts.write_bytes_per_second = rates.write_bytes_per_second;
  facts.read_bytes_per_second = rates.read_bytes_per_second;
}

/// The hosts of the ranks of which this is true, each once. Collective.
std::vector<std::string> hosts_where(const Communicator& comm, const std::string& host, bool here) {
  std::set<std::string> hosts;
  for (const std::string& one : comm.gather(here ? host : ""))
    if (!one.empty()) hosts.insert(one);
  return {hosts.begin(), hosts.end()};
}

/// Whether locks are granted to rank 0, and the others see its file and its lock. On some file systems the two kinds of locks are one,
/// so each has a file of its own. Collective.
void ask_others(const Communicator& comm, const fs::path& name, FolderFacts& facts) {
  std::optional<SmallFile> file;
  if (comm.root()) {
    file.emplace(name, true);
    const SmallFile another(part_of(name), true);
    facts.fcntl_error = in_words(fcntl_lock(file->descriptor()));
    facts.flock_error = in_words(flock_lock(another.descriptor()));
    facts.clock_ahead_seconds = clock_ahead(file->descriptor());
  }
  facts.fcntl_error = comm.broadcast(facts.fcntl_error);  // the file is there now, and locked
  if (!comm.root()) file.emplace(name, false);
  const bool seen = file->descriptor() >= 0;
  const bool locked_too = !comm.root() && seen && facts.fcntl_error.empty() && fcntl_lock(file->descriptor()) == 0;
  const std::string host = host_name();
  facts.unseen_by = hosts_where(comm, host, !seen);
  facts.lock_unseen_by = hosts_where(comm, host, locked_too);  // rank 0 holds its lock until all have answered
}

}  // namespace

std::string file_system_name(uint64_t type) {
  static const std::map<uint64_t, const char*> names = {
      {0xEF53, "ext4"},       {0x58465342, "xfs"},    {0x9123683E, "btrfs"},   {0x2FC12FC1, "zfs"},       {0x01021994, "tmpfs"},
      {0x858458F6, "ramfs"},  {0x6969, "nfs"},        {0x0BD00BD0, "lustre"},  {0x47504653, "gpfs"},      {0x19830326, "beegfs"},
      {0x00C36400, "ceph"},   {0xFF534D42, "cifs"},   {0xFE534D42, "smb2"},    {0x65735546, "fuse"},      {0x794C7630, "overlay"},
      {0x01021997, "9p"},     {0x7461636F, "ocfs2"},  {0x01161970, "gfs2"},    {0xAAD7AAEA, "panfs"},
      {0xF2F52010, "f2fs"},   {0x5346414F, "afs"},    {0x20030528, "orangefs"}};
  const auto found = names.find(type & 0xFFFFFFFF);
  if (found != names.end()) return found->second;
  std::ostringstream number;
  number << "0x" << std::hex << type;
  return number.str();
}

fs::path unused_name(const Communicator& comm, const fs::path& folder) {
  std::random_device random;
  return folder / comm.broadcast(concat(".lawa_doctor_", std::hex, random(), random()));
}

FolderFacts folder_facts(const Communicator& comm, const fs::path& folder, const ProbeLimits& limits) {
  FolderFacts facts;
  facts.path = folder.string();
  if (comm.root()) {
    try {
      ask_root(facts, folder, limits);
    } catch (const std::exception& error) {
      facts.error = error.what();
    }
  }
  facts.error = comm.broadcast(facts.error);
  if (facts.error.empty()) ask_others(comm, unused_name(comm, folder).string() + ".lock", facts);
  return facts;
}

}  // namespace lawa
