#include "parity/golden.hpp"

namespace lawa::test {

using h5::Handle;

namespace {
template <class T>
hid_t native_type();
template <>
hid_t native_type<int32_t>() { return H5T_NATIVE_INT32; }
template <>
hid_t native_type<float>() { return H5T_NATIVE_FLOAT; }
template <>
hid_t native_type<double>() { return H5T_NATIVE_DOUBLE; }
}  // namespace

GoldenGroup::GoldenGroup(const std::string& name, const std::string& path)
    : path_(path), file_(h5::open_for_reading(path)),
      group_(LAWA_H5(path, H5Gopen2(file_, name.c_str(), H5P_DEFAULT)), H5Gclose) {}

int64_t GoldenGroup::integer(const char* attribute) const { return h5::read_integer_attribute(group_, path_, attribute); }
std::string GoldenGroup::text(const char* attribute) const { return h5::read_text_attribute(group_, path_, attribute); }

double GoldenGroup::number(const char* attribute) const {
  const Handle stored(LAWA_H5(path_, H5Aopen(group_, attribute, H5P_DEFAULT)), H5Aclose);
  double value = 0;
  LAWA_H5(path_, H5Aread(stored, H5T_NATIVE_DOUBLE, &value));
  return value;
}

template <class T>
std::vector<T> GoldenGroup::values(const std::string& dataset) const {
  const Handle stored(LAWA_H5(path_, H5Dopen2(group_, dataset.c_str(), H5P_DEFAULT)), H5Dclose);
  const Handle shape(LAWA_H5(path_, H5Dget_space(stored)), H5Sclose);
  std::vector<T> elements(static_cast<size_t>(LAWA_H5(path_, H5Sget_simple_extent_npoints(shape))));
  LAWA_H5(path_, H5Dread(stored, native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, elements.data()));
  return elements;
}
template std::vector<int32_t> GoldenGroup::values(const std::string&) const;
template std::vector<float> GoldenGroup::values(const std::string&) const;
template std::vector<double> GoldenGroup::values(const std::string&) const;

std::vector<std::string> GoldenGroup::names(const std::string& subgroup) const {
  const Handle group(LAWA_H5(path_, H5Gopen2(group_, subgroup.c_str(), H5P_DEFAULT)), H5Gclose);
  std::vector<std::string> found;
  const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  LAWA_H5(path_, H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &found));
  return found;
}

}  // namespace lawa::test
