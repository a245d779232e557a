// What a folder's file system can do for a run: room, speed, locks, clock, and whether all hosts see the same.
#pragma once
#include <filesystem>

#include "comm/communicator.hpp"
#include "core/file_system_probe.hpp"
#include "doctor/facts.hpp"

namespace lawa {

/// Writes at most limits.bytes there, and leaves nothing behind. Collective; rank 0's are whole.
FolderFacts folder_facts(const Communicator& comm, const std::filesystem::path& folder, const ProbeLimits& limits);

/// A name for a file of the doctor's that no other process takes.
std::filesystem::path unused_name(const Communicator& comm, const std::filesystem::path& folder);

/// "ext4" of statfs()'s f_type, "0x2fc12fc1" of one that isn't known here.
std::string file_system_name(uint64_t type);

}  // namespace lawa
