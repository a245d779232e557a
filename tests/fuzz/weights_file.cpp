// A weights file of ours with some bytes changed, beside its commit record: HDF5 never sees what isn't as it was written, which HDF5 itself
// may crash on. (Texts that are as they were written, and mean harm: weights_header.cpp.)
#include "checkpoint/flat_file.hpp"
#include "core/files.hpp"
#include "fuzz/fuzz.hpp"

namespace lawa::fuzz {
namespace {

constexpr int64_t step = 20, size = 20;

std::filesystem::path file() { return weights_path(folder(), step); }

/// Written once, with its record.
const std::string& as_written() {
  static const std::string bytes = [] {
    FlatHeader header{.kind = "weights", .step = step, .trained_tokens = 1920, .trajectory_hash = "0123456789abcdef", .config_hash = "fedcba", .git = "unknown"};
    header.table.add({.name = "wte", .shape = {3, 5}});
    header.table.add({.name = "ln", .shape = {5}});
    header.provenance = {{"program", "test"}};
    const PlacedFile laid_out = lay_out_flat_file(file(), header, {{"weights"}});
    const std::vector<std::byte> numbers(static_cast<size_t>(laid_out.places("weights").bytes({0, size})));
    const FileRecord record = seal_flat_file(laid_out, {{"weights", block_checksums(numbers, NumberFormat::float32)}}, false);
    write_record(folder(), {step, header.trained_tokens, header.trajectory_hash, record, {}}, false);
    return read_file(file());
  }();
  return bytes;
}

}  // namespace

std::vector<std::string> valid_inputs() { return {as_written()}; }
std::vector<std::string> hostile_inputs() { return {"", as_written().substr(0, 100), as_written() + "x"}; }

}  // namespace lawa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lawa;
  fuzz::as_written();
  fuzz::put(fuzz::file(), fuzz::text_of(data, size));
  return fuzz::expect_answer([] {
    const PlacedFile file = open_flat_file(fuzz::file());
    OpenFiles open(ByteFile::Mode::read);
    std::vector<float> numbers(fuzz::size);
    PlacedReader(open, file.path, file.places("weights"), file.header.table).read({0, fuzz::size}, numbers);
  });
}
