// How kernels go over rows, elements and columns. The build chooses the form: loops of vector instructions, one work item a row, on a CPU
// (loops_host.hpp); a team of threads a row, neighbours reading neighbours, on a device (loops_team.hpp). Kernels are written once:
//
//   for_rows("lawa::double", exec, rows(x), columns(x), KOKKOS_LAMBDA(const Row& row, int64_t n) {
//     row.assign(columns(x), &y(n, 0), [&](int64_t c) { return 2 * x(n, c); });
//   });
//
// Row       each(n, f)          f(i) for i in 0..n-1
//           assign(n, to, f)    to[i] = f(i); f may read to[i], and no other element that is written
//           sum(n, f)           the sum of the floats f(i); every thread of the row has it
//           sums(n, f)          two of them at once: f(i) -> Two
//           softmax_sum(n, f)   the largest of the floats f(i), and the sum of exp(f(i) - largest), with n > 0
//           barrier()           what the row's threads have written before it, all of them see behind it
//           once(f)             f() on one thread
// for_rows(name, exec, n_rows, width, f)          f(row, n); width: about how many elements a row has
// for_elements(name, exec, range, f)              f(i) for i in the range
// assign_elements(name, exec, n, to, f)           to[i] = f(i), as a row's assign
// sum_elements(name, exec, n, f)                  the sum of the doubles f(i), waited for
// add_column_sums(exec, n_rows, sums, value)      sums[c] += value(0, c) + value(1, c) + …, value(n, c) -> float
//
// Every sum has a fixed order, without atomics: results repeat bit for bit.
#pragma once
#include LAWA_LOOPS   // "tensor/loops_host.hpp" or "tensor/loops_team.hpp"
