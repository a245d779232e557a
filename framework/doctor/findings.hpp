// What is wrong with a machine or a job on it, and what helps: a pure function of the facts.
#pragma once
#include <string>
#include <vector>

#include "core/config.hpp"
#include "doctor/facts.hpp"

namespace lawa {

/// From where on something counts as wrong.
struct Thresholds {
  double disk_bytes = 10e9, disk_write_rate = 100e6, disk_read_rate = 100e6, all_reduce_rate = 500e6, cpu_share = 0.7;
};
template <class Visitor>
void visit(Thresholds& t, Visitor&& v) {
  v("disk_bytes", t.disk_bytes, "bytes that a run needs (lawa plan says how many); less that is free is an error", at_least(0));
  v("disk_write_rate", t.disk_write_rate, "bytes/s that one process must write, fsync included", at_least(0));
  v("disk_read_rate", t.disk_read_rate, "bytes/s that one process must read", at_least(0));
  v("all_reduce_rate", t.all_reduce_rate, "bytes/s of a float32 vector summed over the ranks", at_least(0));
  v("cpu_share", t.cpu_share, "of the time that a rank's threads must run while they have work", between(0, 1));
}

struct Finding {
  enum class Severity { warning, error };  ///< an error: a run would fail, be several runs, or go at a fraction of its speed
  Severity severity = Severity::warning;
  std::string name;    ///< "serial_hdf5"
  std::string found;   ///< what, with its value
  std::string remedy;  ///< what to do
};

/// In the order of the page: launch, cores, GPUs, communication, HDF5, folder, node.
std::vector<Finding> findings(const Facts& facts, const Thresholds& thresholds);

}  // namespace lawa
