// Views over memory that the kernels run on, and their copies on the host. The only place that names a Kokkos space.
#pragma once
#include <Kokkos_Core.hpp>
#include <cstdint>
#include <string>
#include <type_traits>

#include "core/error.hpp"
#include "core/range.hpp"

namespace lawa {

/// Where kernels run, with the stream that they are queued on.
using Exec = Kokkos::DefaultExecutionSpace;
using Memory = Exec::memory_space;
/// A call to a kernel returns when it is done: no stream, no device.
inline constexpr bool kernels_run_at_once = std::is_same_v<Exec, Kokkos::DefaultHostExecutionSpace>;
/// Memory that the CPU can read and write.
using HostMemory = Kokkos::HostSpace;

/// (n) elements; a view is a pointer with its extents, and copying one copies no elements.
template <class T, class Space = Memory>
using Vector = Kokkos::View<T*, Kokkos::LayoutRight, Space>;
/// (rows, columns), row-major: memory order is file order on every device.
template <class T, class Space = Memory>
using Matrix = Kokkos::View<T**, Kokkos::LayoutRight, Space>;
template <class T>
using HostVector = Vector<T, HostMemory>;
/// Token ids.
using Tokens = Vector<int32_t>;

template <class View>
KOKKOS_INLINE_FUNCTION int64_t rows(const View& view) {
  return static_cast<int64_t>(view.extent(0));
}
template <class View>
KOKKOS_INLINE_FUNCTION int64_t columns(const View& view) {
  return static_cast<int64_t>(view.extent(1));
}

/// Elements [begin, end) of a vector, sharing its memory.
template <class T, class Space>
Vector<T, Space> slice(const Vector<T, Space>& x, Range range) {
  LAWA_CHECK(range.begin >= 0 && range.begin <= range.end && range.end <= rows(x), "slice [", range.begin, ", ", range.end,
             ") of ", rows(x), " elements");
  return Vector<T, Space>(x.data() + range.begin, static_cast<size_t>(range.size()));
}
/// Rows [begin, end) of a matrix, sharing its memory.
template <class T, class Space>
Matrix<T, Space> slice(const Matrix<T, Space>& x, Range range) {
  LAWA_CHECK(range.begin >= 0 && range.begin <= range.end && range.end <= rows(x), "rows [", range.begin, ", ", range.end,
             ") of ", rows(x));
  return Matrix<T, Space>(x.data() + range.begin * columns(x), static_cast<size_t>(range.size()), x.extent(1));
}

/// n new elements, zero.
template <class T, class Space = Memory>
Vector<T, Space> zeros(const std::string& name, int64_t n) {
  return Vector<T, Space>(name, static_cast<size_t>(n));
}
/// n new elements with no value yet: pages that are never written cost no memory.
template <class T, class Space = Memory>
Vector<T, Space> uninitialised(const std::string& name, int64_t n) {
  return Vector<T, Space>(Kokkos::view_alloc(Kokkos::WithoutInitializing, name), static_cast<size_t>(n));
}

/// Sets every element.
template <class T>
void fill(const Exec& exec, const Vector<T>& x, T value) {
  Kokkos::deep_copy(exec, x, value);
}

/// Copies between equally long vectors of any spaces and waits until it is done.
template <class T, class To, class From>
void copy(const Vector<T, To>& to, const Vector<T, From>& from) {
  LAWA_CHECK(rows(to) == rows(from), "copy of ", rows(from), " elements into ", rows(to));
  Kokkos::deep_copy(to, from);
}

/// The same elements where the CPU can reach them: the view itself on a CPU build, else a copy.
template <class T>
HostVector<T> on_host(const Vector<T>& x) {
  return Kokkos::create_mirror_view_and_copy(HostMemory{}, x);
}

/// A policy over 0..n-1, queued on exec.
inline Kokkos::RangePolicy<Exec, Kokkos::IndexType<int64_t>> over(const Exec& exec, int64_t n) {
  return Kokkos::RangePolicy<Exec, Kokkos::IndexType<int64_t>>(exec, 0, n);
}

}  // namespace lawa
