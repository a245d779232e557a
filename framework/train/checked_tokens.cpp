#include "train/checked_tokens.hpp"

#include <algorithm>
#include <optional>

#include "checkpoint/shard_file.hpp"
#include "core/hash.hpp"
#include "core/range.hpp"
#include "data/token_scan.hpp"

namespace lawa {
namespace {

/// Whether all ranks see what rank 0 does: copies of each node's own may differ in their times. Collective.
bool same_everywhere(const Communicator& comm, const TokenSet& tokens) {
  std::string sizes, stamps;
  for (const TokenFile& file : tokens.files()) {
    sizes += concat(file.size, " ");
    stamps += concat(file.stamp.modified, " ", file.stamp.changed, " ", file.stamp.inode, " ");
  }
  const auto all_sizes = comm.gather(hash128(sizes)), all_stamps = comm.gather(hash128(stamps));
  const auto other = std::ranges::find_if(all_sizes, [&](const std::string& size) { return size != all_sizes[0]; });
  LAWA_CHECK(other == all_sizes.end(), tokens.key(), ": ranks 0 and ", other - all_sizes.begin(), " see files of different sizes");
  return std::ranges::count(all_stamps, all_stamps[0]) == comm.size();
}

using FileScans = std::vector<std::optional<TokenScan>>;

/// Those that rank 0 finds kept. Collective.
FileScans kept_scans(const Communicator& comm, const TokenSet& tokens) {
  FileScans scans(tokens.files().size());
  if (!same_everywhere(comm, tokens)) return scans;
  const Json found = from_root(comm, [&] {
    Json kept = Json::array();
    for (const TokenFile& file : tokens.files()) {
      const auto scan = kept_scan(file);
      kept.push_back(scan ? scan->to_json() : Json());
    }
    return kept;
  });
  for (size_t i = 0; i < scans.size(); ++i)
    if (!found[i].is_null()) scans[i] = TokenScan::from_json(found[i]);
  return scans;
}

/// Of the files that have none yet. Collective.
void scan_the_others(const Communicator& comm, const TokenSet& tokens, FileScans& scans) {
  std::vector<std::pair<size_t, int64_t>> blocks;  // file, block in it
  for (size_t i = 0; i < scans.size(); ++i)
    for (int64_t block = 0; !scans[i] && block < scan_blocks(tokens.files()[i]); ++block) blocks.emplace_back(i, block);
  const Range mine = split(std::ssize(blocks), comm.rank(), comm.size());
  Json found = Json::array();
  comm.together([&] {
    for (int64_t n = mine.begin; n < mine.end; ++n) {
      const auto [i, block] = blocks[static_cast<size_t>(n)];
      found.push_back(scan_block(tokens, tokens.files()[i], block).to_json());
    }
  });
  std::vector<std::vector<TokenScan>> of_file(scans.size());
  auto next = blocks.begin();
  for (const std::string& text : comm.gather(found.dump()))
    for (const Json& scan : Json::parse(text)) of_file[(next++)->first].push_back(TokenScan::from_json(scan));
  for (size_t i = 0; i < scans.size(); ++i) {
    if (scans[i]) continue;
    scans[i] = scan_of(of_file[i]);
    if (comm.root()) keep_scan(tokens.files()[i], *scans[i]);
  }
}

}  // namespace

std::string checked_digest(const Communicator& comm, const TokenSet& tokens) {
  FileScans scans = kept_scans(comm, tokens);
  scan_the_others(comm, tokens, scans);
  std::vector<TokenScan> files;
  for (size_t i = 0; i < scans.size(); ++i) {
    tokens.check_id(tokens.files()[i], scans[i]->at, scans[i]->largest);
    files.push_back(*scans[i]);
  }
  return digest_of(files);
}

}  // namespace lawa
