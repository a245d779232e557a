// Small files that appear whole or not at all.
#pragma once
#include <filesystem>
#include <string>

namespace lawa {

/// The file's bytes. Errors: ByteFile's.
std::string read_file(const std::filesystem::path& path);

/// Makes a folder with its parents, or finds it there. Errors name it.
void make_folder(const std::filesystem::path& path);

/// Errors: the file system takes no name as long as folder/below, or as one of below's parts. `folder` exists; what is below needn't.
void check_fits(const std::filesystem::path& folder, const std::filesystem::path& below);

/// Makes what was written to `path` (a file or a folder) survive a power cut: fsync.
void make_durable(const std::filesystem::path& path);

/// `path` with ".part" behind it: the name under which a file is written before it is whole.
std::filesystem::path part_of(const std::filesystem::path& path);

/// Renames part_of(path) to `path`; durably unless told otherwise: fsync of the file, rename, fsync of the folder.
void commit_file(const std::filesystem::path& path, bool durably = true);

/// Writes a whole file, durably unless told otherwise; an older file of that name is replaced in one step. After an error nothing is left.
void write_file(const std::filesystem::path& path, const std::string& text, bool durably = true);

/// Puts a text behind a file's end, or makes the file with it; handed to the system at once.
void append_to_file(const std::filesystem::path& path, const std::string& text);

}  // namespace lawa
