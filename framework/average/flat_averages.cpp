// Averages of this program's own weights files.
#include "average/flat_sources.hpp"
#include "checkpoint/direct_file.hpp"

namespace lawa {
namespace fs = std::filesystem;
using detail::FlatSources;
namespace {

/// Reads what this rank owns of a weights file; every block is verified on the way.
void verify_mine(const fs::path& file, const ShardLayout& layout) {
  const FlatFileReader reader(file, "weights");
  std::vector<float> values(static_cast<size_t>(std::min(detail::most_elements, layout.local_size())));
  detail::for_each_piece(layout, detail::most_elements, [&](Range range) {
    reader.read("weights", range, std::span(values).first(static_cast<size_t>(range.size())));
  });
}

class FlatOutputs {
 public:
  FlatOutputs(const Communicator& comm, const std::vector<PlannedFile>& files, const std::vector<Source>& sources, const FlatSources& reader,
              NumberFormat format)
      : files_(comm, files), sources_(sources), reader_(reader), format_(format), places_(files.size()) {}

  void lay_out() {
    Json mine = Json::array();
    files_.comm().together([&] {
      files_.for_mine([&](size_t i) {
        make_folder(files_[i].path.parent_path());
        const ArrayPlace place = lay_out_weights(part_of(files_[i].path), reader_.header_of(files_[i], sources_), format_);
        mine.push_back({i, place.values, place.checksums});
      });
    });
    for (const std::string& text : files_.comm().gather(mine.dump()))
      for (const Json& entry : Json::parse(text)) places_[entry[0].get<size_t>()] = {format_, entry[1], entry[2]};
  }

  void write(size_t i, Range range, std::span<const float> values) { write_weights_part(file(i), places_[i], range, values); }

  void begin_writing_back(size_t i, Range range) { lawa::begin_writing_back(file(i), places_[i], range); }
  void bring_back(size_t i, Range range) { bring_weights_part_back(file(i), places_[i], range); }
  void verify(size_t i, Range range) { verify_weights_part(file(i), places_[i], range); }
  void make_durable() const { files_.make_durable(); }

  /// Names the files, then writes their records. Returns their digests.
  std::vector<std::string> commit(const AveragingOutput& options) {
    Json mine = Json::array();
    files_.comm().together([&] {
      files_.for_mine([&](size_t i) {
        const fs::path& path = files_[i].path;
        mine.push_back({i, FlatFileReader(part_of(path), "weights").digest("weights")});
        const FlatHeader& header = reader_.header(files_[i].average.step());
        const FileRecord file = commit_flat_file(path, options.fsync);
        write_record(path.parent_path(), {header.step, header.trained_tokens, header.trajectory_hash, file, {}}, options.fsync);
      });
      files_.committed();
    });
    std::vector<std::string> digests(files_.size());
    for (const std::string& text : files_.comm().gather(mine.dump()))
      for (const Json& entry : Json::parse(text)) digests[entry[0].get<size_t>()] = entry[1];
    return digests;
  }

 private:
  const ByteFile& file(size_t i) { return open_[part_of(files_[i].path)]; }

  detail::PartFiles files_;
  OpenFiles open_;
  const std::vector<Source>& sources_;
  const FlatSources& reader_;
  NumberFormat format_;
  std::vector<ArrayPlace> places_;
};

}  // namespace

namespace detail {

AveragingTotals write_flat_averages(const Communicator& comm, const AveragingOutput& options, const std::vector<PlannedFile>& files,
                                    const std::vector<Source>& sources, Log& log) {
  return write_files<FlatSources, FlatOutputs>(comm, options, files, sources, log);
}

void verify_flat(const Communicator& comm, const fs::path& file) {
  comm.together([&] { verify_mine(file, ShardLayout(FlatFileReader(file, "weights").header().table.size(), comm.rank(), comm.size())); });
}

std::string flat_digest(const Communicator& comm, const AveragingOutput& options, const Average& average, NumberFormat format,
                        const std::vector<Source>& sources) {
  return digest_of_average<FlatSources>(comm, options, average, format, sources);
}

}  // namespace detail


}  // namespace lawa
