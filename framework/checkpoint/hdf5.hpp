// HDF5's handles and return codes. Nothing outside checkpoint includes this.
#pragma once
#include <hdf5.h>

#include <string>
#include <utility>

#include "core/error.hpp"
#include "core/number_format.hpp"

namespace lawa::h5 {

/// HDF5's own account of the last error, innermost first, and forgets it.
std::string last_error();

/// A call of HDF5 has failed: what is in the file may be wrong, or the system has refused to read it.
struct Failure : Error {
  using Error::Error;
};

/// Throws Failure when an HDF5 call returned a negative value; passes every other value on.
template <class T>
T check(T value, const char* call, const std::string& path, const char* file, int line) {
  if (value < 0) throw Failure(concat(path, ": ", call, ": ", last_error()), concat(file, ":", line));
  return value;
}

/// An identifier that is closed when it goes out of scope.
class Handle {
 public:
  Handle() = default;
  Handle(hid_t id, herr_t (*closer)(hid_t)) : id_(id), close_(closer) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() { close(); }

  operator hid_t() const { return id_; }
  /// Closes now; negative when HDF5 couldn't.
  herr_t close() { return id_ < 0 ? 0 : close_(std::exchange(id_, H5I_INVALID_HID)); }

 private:
  hid_t id_ = H5I_INVALID_HID;
  herr_t (*close_)(hid_t) = nullptr;
};

/// HDF5 stops printing its errors: they are reported as lawa::Error.
void be_quiet();

/// A property list of a class, closed at the end of scope.
Handle properties(hid_t property_class);
Handle space(hsize_t size);
/// A one-dimensional space of `size` elements with [begin, end) selected.
Handle selection(hsize_t size, hsize_t begin, hsize_t end);

/// HDF5 takes no locks of its own: cluster file systems often have none.
void leave_locks_alone(hid_t access, const std::string& path);
/// Opens a file for reading, without locks. Errors name the file: not HDF5, truncated, missing.
Handle open_for_reading(const std::string& path);

/// The HDF5 type of stored numbers. HDF5 1.10 has no bfloat16 of its own: it gets a description that other programs convert by.
Handle number_type(NumberFormat format);
/// How a dataset's numbers are stored. Errors: in none of these formats.
NumberFormat number_format(hid_t dataset, const std::string& path, const char* name);

/// Errors: the dataset's values don't lie in the file in one piece (HDF5 1.10 itself crashes on reading some damaged files).
void check_stored(hid_t dataset, const std::string& path, const char* name);

/// A text as a scalar dataset of fixed length (attributes are limited to 64 KB).
void write_text(hid_t file, const std::string& path, const char* name, const std::string& text);
std::string read_text(hid_t file, const std::string& path, const char* name);
void write_attribute(hid_t file, const std::string& path, const char* name, int64_t value);
void write_attribute(hid_t file, const std::string& path, const char* name, const std::string& value);
int64_t read_integer_attribute(hid_t file, const std::string& path, const char* name);
std::string read_text_attribute(hid_t file, const std::string& path, const char* name);

}  // namespace lawa::h5

#define LAWA_H5(path, call) ::lawa::h5::check((call), #call, (path), __FILE__, __LINE__)
