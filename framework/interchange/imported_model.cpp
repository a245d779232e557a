#include "interchange/imported_model.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "core/version.hpp"
#include "interchange/hugging_face_config.hpp"
#include "interchange/hugging_face_tensors.hpp"
#include "interchange/weights_format.hpp"
#include "model/model_tensors.hpp"

namespace lawa {
namespace fs = std::filesystem;
namespace {

/// A config that says which model it is, and nothing else.
struct ModelKeys {
  ModelConfig model;
};
template <class Visitor>
void visit(ModelKeys& c, Visitor&& v) {
  v("model", c.model, "");
}

std::string text_of(const std::vector<int64_t>& shape) { return Json(shape).dump(); }

/// The tensors of an opened folder or file by their names without a prefix, as they are taken for those of a model.
class FoundTensors {
 public:
  FoundTensors(const PlacedFile& file, const ModelConfig& model) : file_(file), places_(file.places("weights")), model_(model) {
    for (const Parameter& parameter : file.header.table.parameters()) add(parameter.name, &parameter);
    for (const CopiedBytes& bytes : file.copied) {
      if (is_known_buffer(model, bytes.name)) continue;
      others_[without_prefix(model, bytes.name)] = {bytes.name, bytes.what};
    }
  }

  /// The one for a tensor of the model, which is used up; null where there is none. Errors: it is of no float format.
  const Parameter* take(const std::string& name) {
    const std::string key = without_prefix(model_, name);
    const auto other = others_.find(key);
    LAWA_CHECK(other == others_.end(), place(), ": tensor ", name, " is ", other->second.second, "; weights are F32, F16, BF16 or F64");
    const auto found = tensors_.find(key);
    if (found == tensors_.end()) return nullptr;
    const Parameter* tensor = found->second;
    tensors_.erase(found);
    return tensor;
  }
  /// Errors: one is left.
  void check_all_taken() const {
    for (const auto& [name, tensor] : tensors_)
      LAWA_CHECK(is_known_buffer(model_, name), place(), ": holds tensor ", tensor->name, " ", text_of(tensor->shape), ", which the ", title(model_),
                 " of its config.json has no place for");
    for (const auto& [key, other] : others_)
      fail(__FILE__, __LINE__, place(), ": holds tensor ", other.first, " (", other.second, "), which the ", title(model_), " of its config.json has no place for");
  }
  std::string place() const { return file_.path.string(); }

 private:
  void add(const std::string& name, const Parameter* tensor) {
    const bool is_new = tensors_.emplace(without_prefix(model_, name), tensor).second;
    LAWA_CHECK(is_new, place(), ": holds tensor ", without_prefix(model_, name), " twice, with and without a prefix");
  }

  const PlacedFile& file_;
  const Places& places_;
  const ModelConfig& model_;
  std::map<std::string, const Parameter*> tensors_{};
  std::map<std::string, std::pair<std::string, std::string>> others_{};  ///< of other formats: their whole names, and what they are
};

/// f(piece of the one, piece of the other or nothing) over a tensor's numbers. Reads them.
class TensorNumbers {
 public:
  explicit TensorNumbers(const PlacedFile& file) : reader_(open_, file.path, file.places("weights"), file.header.table) {}

  bool are_zero(const Parameter& tensor) {
    return all_pieces(tensor.size(), [&](Range piece) {
      const auto values = read(tensor, piece);
      return std::ranges::all_of(values, [](float x) { return x == 0; });
    });
  }
  bool are_same(const Parameter& a, const Parameter& b) {
    return a.shape == b.shape && all_pieces(a.size(), [&](Range piece) {
      const auto x = read(a, piece), y = read(b, piece);
      return std::ranges::equal(std::as_bytes(std::span(x)), std::as_bytes(std::span(y)));
    });
  }

 private:
  template <class F>
  static bool all_pieces(int64_t size, F&& f) {
    constexpr int64_t most = 1 << 18;
    for (int64_t begin = 0; begin < size; begin += most)
      if (!f(Range{begin, std::min(begin + most, size)})) return false;
    return true;
  }
  std::vector<float> read(const Parameter& tensor, Range piece) {
    std::vector<float> values(static_cast<size_t>(piece.size()));
    reader_.read({tensor.offset + piece.begin, tensor.offset + piece.end}, values);
    return values;
  }

  OpenFiles open_{ByteFile::Mode::read};
  PlacedReader reader_;
};

/// How the projections of a GPT-2 lie, one layout for all.
struct Layout {
  std::string known_by{};  ///< the tensor that told it; "" as long as none has
  bool as_linear = false;

  /// Whether this one lies transposed. Errors: its shape is neither; its layout isn't that of the others.
  bool is_transposed(const HuggingFaceTensor& tensor, const Parameter& found, const std::string& place) {
    const bool conv1d = found.shape == tensor.shape, linear = found.shape == tensor.ours.shape;
    LAWA_CHECK(conv1d || linear, place, ": tensor ", found.name, " has the shape ", text_of(found.shape), "; this model's is ", text_of(tensor.shape), " or ",
               text_of(tensor.ours.shape));
    if (conv1d && linear) return !as_linear;  // square: c_attn, which comes first, has told
    LAWA_CHECK(known_by.empty() || as_linear == linear, place, ": tensor ", found.name, " lies as ", linear ? "(out, in)" : "(in, out)", ", and ", known_by,
               " the other way round");
    known_by = found.name;
    as_linear = linear;
    return !linear;
  }
};

/// The segments of a tensor, with its elements at `offset`.
void add_segments(Places& places, const Places& from, const Parameter& found, bool transposed) {
  from.for_each_part(found.range(), [&](const Places::Part& part) {
    places.segments.push_back({{places.size(), places.size() + part.elements}, part.offset, part.format, part.file, transposed ? found.shape[0] : 0});
  });
}

/// The places of a model's weights in a folder's files. Errors: open_model's.
Places places_of(const PlacedFile& file, const ModelConfig& model) {
  FoundTensors found(file, model);
  TensorNumbers numbers(file);
  const Places& from = file.places("weights");
  Places places{.files = from.files};
  Layout layout;
  const std::string head = is_gpt_neox(model) ? "embed_out.weight" : "lm_head.weight";
  const Parameter* embedding = nullptr;
  const auto take_head = [&] {  // of GPT-NeoX, some say lm_head
    const Parameter* tensor = found.take(head);
    return tensor || !is_gpt_neox(model) ? tensor : found.take("lm_head.weight");
  };
  for (const HuggingFaceTensor& tensor : hugging_face_tensors(model)) {
    const Parameter* there = tensor.name == head ? take_head() : found.take(tensor.name);
    if (there == nullptr && !tensor.held) continue;
    LAWA_CHECK(there, file.path.string(), ": lacks tensor ", tensor.name, " ", text_of(tensor.shape), ", which its config.json asks for",
               tensor.name.ends_with(".bias") ? "; of a model without biases that says \"bias\": false" : "", piece_hint(file.path));
    const bool transposed = tensor.transposed && layout.is_transposed(tensor, *there, file.path.string());
    LAWA_CHECK(tensor.transposed || there->shape == tensor.shape, file.path.string(), ": tensor ", there->name, " has the shape ", text_of(there->shape),
               "; this model's is ", text_of(tensor.shape));
    LAWA_CHECK(tensor.held || numbers.are_zero(*there), file.path.string(), ": tensor ", there->name, " isn't zero, and config.json says \"bias\": false");
    if (tensor.held) add_segments(places, from, *there, transposed);
    if (embedding == nullptr) embedding = there;
  }
  const Parameter* copy = model.tied ? take_head() : nullptr;
  LAWA_CHECK(!copy || numbers.are_same(*copy, *embedding), file.path.string(), ": tensor ", copy->name, " isn't ", embedding->name,
             ", and config.json says that they are tied (tie_word_embeddings)");
  found.check_all_taken();
  return places;
}

fs::path config_of(const fs::path& path) { return (fs::is_directory(path) ? path : path.parent_path()) / "config.json"; }

}  // namespace

ModelConfig model_of(const FlatHeader& header, const fs::path& path) {
  LAWA_CHECK(!header.config.empty(), path.string(), ": doesn't say which model it is of");
  ConfigSource source;
  source.add_toml(header.config, path.string() + ":/config");
  for (const auto entries = source.entries(); const auto& [key, entry] : entries)
    if (!key.starts_with("model.")) source.drop(key);
  const auto keys = load_config<ModelKeys>(source);
  check(keys.model, source);
  return keys.model;
}

PlacedFile open_model(const fs::path& path) {
  const WeightsFormat& format = format_of(path);
  PlacedFile file = format.open(path);
  if (!format.by_tensor) return file;
  const fs::path config = config_of(path);
  LAWA_CHECK(fs::exists(config), path.string(), ": doesn't say which model it is of: there is no config.json beside the weights", piece_hint(path));
  const ModelConfig model = read_hugging_face_config(parsed_json(read_file(config), config.string() + ": isn't a config"), config.string());
  Places places = places_of(file, model);
  file.header.table = model_parameters(model);
  file.header.config = dump_config(ModelKeys{model});
  file.header.config_hash = hash128(file.header.config);
  file.header.git = version().git;
  file.header.provenance = {{"program", "lawa " + version().number}, {"imported", {{"from", fs::absolute(config.parent_path()).string()}, {"fingerprint", file.identity}}}};
  if (!file.average.is_null()) file.header.provenance["average"] = file.average;
  file.arrays = {{"weights", std::move(places)}};
  file.copied.clear();
  file.means = {};
  file.digest.clear();  // it was of other places
  return file;
}

}  // namespace lawa
