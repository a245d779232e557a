#include "checkpoint/hdf5.hpp"

#include "core/file_kind.hpp"

namespace lawa::h5 {

std::string last_error() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        auto& all = *static_cast<std::string*>(out);
        const std::string description = error->desc != nullptr ? error->desc : "";
        if (all.empty() && !description.empty()) all = description;
        return 0;
      },
      &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "HDF5 failed" : text;
}

void be_quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

Handle properties(hid_t property_class) { return {LAWA_H5("HDF5", H5Pcreate(property_class)), H5Pclose}; }
Handle space(hsize_t size) { return {LAWA_H5("HDF5", H5Screate_simple(1, &size, nullptr)), H5Sclose}; }

Handle selection(hsize_t size, hsize_t begin, hsize_t end) {
  Handle whole = space(size);
  const hsize_t count = end - begin;
  LAWA_H5("HDF5", H5Sselect_hyperslab(whole, H5S_SELECT_SET, &begin, nullptr, &count, nullptr));
  return whole;
}

void leave_locks_alone([[maybe_unused]] hid_t access, [[maybe_unused]] const std::string& path) {
#if H5_VERSION_GE(1, 10, 7)
  LAWA_H5(path, H5Pset_file_locking(access, 0, 1));
#endif
}

/// Errors: the file is plainly of another kind.
void check_is_hdf5(const std::string& path) {
  const FileKind kind = file_kind(path);
  const bool is = kind.name.starts_with("an HDF5 file");
  LAWA_CHECK(is, path, ": is ", kind.name.empty() ? "no HDF5 file" : kind.name, ", not a weights file of this program (step_….weights.h5)",
             kind.group == FileKind::Group::pointer ? "; " + kind.remedy : "");
}

Handle open_for_reading(const std::string& path) {
  be_quiet();
  check_is_hdf5(path);
  const Handle access = properties(H5P_FILE_ACCESS);
  leave_locks_alone(access, path);
  return {LAWA_H5(path, H5Fopen(path.c_str(), H5F_ACC_RDONLY, access)), H5Fclose};
}

Handle number_type(NumberFormat format) {
  constexpr const char* place = "HDF5";
  if (format == NumberFormat::float64) return {LAWA_H5(place, H5Tcopy(H5T_IEEE_F64LE)), H5Tclose};
  Handle type(LAWA_H5(place, H5Tcopy(H5T_IEEE_F32LE)), H5Tclose);
  if (format == NumberFormat::float32) return type;
  const size_t mantissa = format == NumberFormat::bfloat16 ? 7 : 10, exponent = 15 - mantissa;
  LAWA_H5(place, H5Tset_fields(type, 15, mantissa, exponent, 0, mantissa));  // sign, exponent and its width, mantissa and its width: bits
  LAWA_H5(place, H5Tset_precision(type, 16));
  LAWA_H5(place, H5Tset_size(type, 2));
  LAWA_H5(place, H5Tset_ebias(type, (size_t{1} << (exponent - 1)) - 1));
  return type;
}

NumberFormat number_format(hid_t dataset, const std::string& path, const char* name) {
  const Handle stored(LAWA_H5(path, H5Dget_type(dataset)), H5Tclose);
  for (const NumberFormat format : {NumberFormat::float32, NumberFormat::bfloat16, NumberFormat::float16, NumberFormat::float64})
    if (H5Tequal(stored, number_type(format)) > 0) return format;
  fail(__FILE__, __LINE__, path, ": ", name, " isn't stored as float32, bfloat16, float16 or float64");
}

void check_stored(hid_t dataset, const std::string& path, const char* name) {
  const Handle creation(LAWA_H5(path, H5Dget_create_plist(dataset)), H5Pclose);
  LAWA_CHECK(H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Dget_offset(dataset) != HADDR_UNDEF, path, ": ", name,
             " isn't stored in one piece");
}

namespace {

Handle text_type(const std::string& path, size_t length) {
  Handle type(LAWA_H5(path, H5Tcopy(H5T_C_S1)), H5Tclose);
  LAWA_H5(path, H5Tset_size(type, std::max<size_t>(1, length)));
  LAWA_H5(path, H5Tset_strpad(type, H5T_STR_NULLPAD));
  LAWA_H5(path, H5Tset_cset(type, H5T_CSET_UTF8));
  return type;
}

Handle scalar(const std::string& path) { return {LAWA_H5(path, H5Screate(H5S_SCALAR)), H5Sclose}; }

/// The length of a fixed-length string that `object` holds, a file or a group. Errors: the whole file isn't as long.
size_t text_length(hid_t object, const std::string& path, const char* name, hid_t type) {
  LAWA_CHECK(H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0, path, ": ", name, " is not a text of fixed length");
  const Handle file(LAWA_H5(path, H5Iget_file_id(object)), H5Fclose);
  hsize_t bytes = 0;
  LAWA_H5(path, H5Fget_filesize(file, &bytes));
  const size_t length = H5Tget_size(type);
  LAWA_CHECK(length <= bytes, path, ": ", name, " claims ", length, " bytes, and the file has ", bytes);
  return length;
}

/// An attribute that holds one value.
Handle open_attribute(hid_t file, const std::string& path, const char* name) {
  Handle attribute(LAWA_H5(path, H5Aopen(file, name, H5P_DEFAULT)), H5Aclose);
  const Handle shape(LAWA_H5(path, H5Aget_space(attribute)), H5Sclose);
  LAWA_CHECK(H5Sget_simple_extent_type(shape) == H5S_SCALAR, path, ": attribute ", name, " is not a single value");
  return attribute;
}

std::string without_padding(std::string text) {
  text.resize(std::min(text.size(), text.find_last_not_of('\0') + 1));
  return text;
}

}  // namespace

void write_text(hid_t file, const std::string& path, const char* name, const std::string& text) {
  const Handle type = text_type(path, text.size()), one = scalar(path), creation = properties(H5P_DATASET_CREATE);
  LAWA_H5(path, H5Pset_obj_track_times(creation, false));
  const Handle dataset(LAWA_H5(path, H5Dcreate2(file, name, type, one, H5P_DEFAULT, creation, H5P_DEFAULT)), H5Dclose);
  LAWA_H5(path, H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str()));
}

std::string read_text(hid_t file, const std::string& path, const char* name) {
  const Handle dataset(LAWA_H5(path, H5Dopen2(file, name, H5P_DEFAULT)), H5Dclose);
  const Handle stored(LAWA_H5(path, H5Dget_type(dataset)), H5Tclose), shape(LAWA_H5(path, H5Dget_space(dataset)), H5Sclose);
  LAWA_CHECK(H5Sget_simple_extent_type(shape) == H5S_SCALAR, path, ": ", name, " is not a single text");
  check_stored(dataset, path, name);
  std::string text(text_length(file, path, name, stored), '\0');
  LAWA_H5(path, H5Dread(dataset, stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()));
  return without_padding(text);
}

void write_attribute(hid_t file, const std::string& path, const char* name, int64_t value) {
  const Handle one = scalar(path);
  const Handle attribute(LAWA_H5(path, H5Acreate2(file, name, H5T_STD_I64LE, one, H5P_DEFAULT, H5P_DEFAULT)), H5Aclose);
  LAWA_H5(path, H5Awrite(attribute, H5T_NATIVE_INT64, &value));
}

void write_attribute(hid_t file, const std::string& path, const char* name, const std::string& value) {
  const Handle type = text_type(path, value.size()), one = scalar(path);
  const Handle attribute(LAWA_H5(path, H5Acreate2(file, name, type, one, H5P_DEFAULT, H5P_DEFAULT)), H5Aclose);
  LAWA_H5(path, H5Awrite(attribute, type, value.c_str()));
}

int64_t read_integer_attribute(hid_t file, const std::string& path, const char* name) {
  const Handle attribute = open_attribute(file, path, name);
  int64_t value = 0;
  LAWA_H5(path, H5Aread(attribute, H5T_NATIVE_INT64, &value));
  return value;
}

std::string read_text_attribute(hid_t file, const std::string& path, const char* name) {
  const Handle attribute = open_attribute(file, path, name);
  const Handle stored(LAWA_H5(path, H5Aget_type(attribute)), H5Tclose);
  std::string text(text_length(file, path, name, stored), '\0');
  LAWA_H5(path, H5Aread(attribute, stored, text.data()));
  return without_padding(text);
}

}  // namespace lawa::h5
