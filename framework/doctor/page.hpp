// The doctor's page for people, and the same as one JSON object.
#pragma once
#include <string>

#include "doctor/findings.hpp"

namespace lawa {

/// Several lines; the findings come last, each with its remedy.
std::string page(const Facts& facts, const std::vector<Finding>& findings, double seconds);

/// {"build":{…},"launch":{…},"mpi":{…},"hdf5":{…},"folder":{…},"ranks":[{…},…],"findings":[{"severity","name","found","remedy"},…],
/// "errors","warnings","seconds"}: bytes, seconds, bytes/s, operations/s.
Json report(const Facts& facts, const std::vector<Finding>& findings, double seconds);

int64_t count(const std::vector<Finding>& findings, Finding::Severity severity);

}  // namespace lawa
