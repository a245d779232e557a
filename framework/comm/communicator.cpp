#include "comm/communicator.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <numeric>
#include <system_error>
#include <utility>

#include "comm/collectives.hpp"
#include "comm/mpi.hpp"
#include "core/activity.hpp"
#include "core/json.hpp"
#include "tensor/device.hpp"
#include "tensor/phases.hpp"

namespace lawa {

void check_mpi(int status, const char* call, const char* file, int line) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw Error(concat(call, ": ", std::string(text, static_cast<size_t>(length))), concat(file, ":", line), exit_error, true);
}

/// A call that all ranks make.
struct Meeting {
  Meeting() { note_meeting(); }
  const Phase phase{"communication"};
};

/// A duplicated communicator; freed unless MPI has ended already.
struct Duplicate {
  MPI_Comm comm = MPI_COMM_NULL;
  explicit Duplicate(MPI_Comm original) { LAWA_MPI(MPI_Comm_dup(original, &comm)); }
  ~Duplicate() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0 && comm != MPI_COMM_NULL) MPI_Comm_free(&comm);
  }
  Duplicate(const Duplicate&) = delete;
  Duplicate& operator=(const Duplicate&) = delete;
};

struct Communicator::State {
  Duplicate duplicate;
  int rank = 0, size = 1, nodes = 1, ranks_on_node = 1, rank_on_node = 0;
  detail::Collectives collectives;

  explicit State(MPI_Comm original) : duplicate(original), collectives(duplicate.comm) {
    LAWA_MPI(MPI_Comm_rank(duplicate.comm, &rank));
    LAWA_MPI(MPI_Comm_size(duplicate.comm, &size));
    MPI_Comm node = MPI_COMM_NULL;
    LAWA_MPI(MPI_Comm_split_type(duplicate.comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node));
    LAWA_MPI(MPI_Comm_rank(node, &rank_on_node));
    LAWA_MPI(MPI_Comm_size(node, &ranks_on_node));
    LAWA_MPI(MPI_Comm_free(&node));
    const int first = rank_on_node == 0 ? 1 : 0;
    LAWA_MPI(MPI_Allreduce(&first, &nodes, 1, MPI_INT, MPI_SUM, duplicate.comm));
  }
};

Communicator::Communicator(std::unique_ptr<State> state) : state_(std::move(state)) {}
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;
Communicator Communicator::world() { return Communicator(std::make_unique<State>(MPI_COMM_WORLD)); }

int Communicator::rank() const { return state_->rank; }
int Communicator::size() const { return state_->size; }
int Communicator::nodes() const { return state_->nodes; }
int Communicator::ranks_on_node() const { return state_->ranks_on_node; }
int Communicator::rank_on_node() const { return state_->rank_on_node; }
std::string Communicator::device_library() { return detail::Collectives::library(); }
MPI_Comm mpi_comm(const Communicator& comm) { return comm.state().duplicate.comm; }

void Communicator::barrier() const {
  const Meeting meeting;
  LAWA_MPI(MPI_Barrier(mpi_comm(*this)));
}

namespace {

template <class T>
std::vector<T> gather_values(const Communicator& comm, T value, MPI_Datatype type) {
  const Meeting meeting;
  std::vector<T> values(static_cast<size_t>(comm.size()));
  LAWA_MPI(MPI_Allgather(&value, 1, type, values.data(), 1, type, mpi_comm(comm)));
  return values;
}

}  // namespace

double Communicator::sum(double value) const {
  const auto values = gather_values(*this, value, MPI_DOUBLE);
  return std::accumulate(values.begin(), values.end(), 0.0);
}
int64_t Communicator::sum(int64_t value) const {
  const auto values = gather_values(*this, value, MPI_INT64_T);
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}
Communicator::Exchanged Communicator::exchange(double value, int64_t code, int64_t count) const {
  const Meeting meeting;
  const std::array mine{value, static_cast<double>(code), static_cast<double>(count)};
  std::vector<std::array<double, 3>> all(static_cast<size_t>(size()));
  LAWA_MPI(MPI_Allgather(mine.data(), 3, MPI_DOUBLE, all.data(), 3, MPI_DOUBLE, mpi_comm(*this)));
  Exchanged result{0, code, count};
  for (const auto& [one, its_code, its_count] : all) {
    result.sum += one;
    result.largest = std::max(result.largest, static_cast<int64_t>(its_code));
    result.least = std::min(result.least, static_cast<int64_t>(its_count));
  }
  return result;
}
double Communicator::max(double value) const {
  const Meeting meeting;
  double largest = 0;
  LAWA_MPI(MPI_Allreduce(&value, &largest, 1, MPI_DOUBLE, MPI_MAX, mpi_comm(*this)));
  return largest;
}
int64_t Communicator::max(int64_t value) const {
  const Meeting meeting;
  int64_t largest = 0;
  LAWA_MPI(MPI_Allreduce(&value, &largest, 1, MPI_INT64_T, MPI_MAX, mpi_comm(*this)));
  return largest;
}
int64_t Communicator::broadcast(int64_t value) const {
  const Meeting meeting;
  LAWA_MPI(MPI_Bcast(&value, 1, MPI_INT64_T, 0, mpi_comm(*this)));
  return value;
}

std::string Communicator::broadcast(std::string text) const {
  text.resize(static_cast<size_t>(broadcast(static_cast<int64_t>(text.size()))));
  LAWA_CHECK(text.size() <= INT32_MAX, "a text of ", text.size(), " bytes is too long to broadcast");
  LAWA_MPI(MPI_Bcast(text.data(), static_cast<int>(text.size()), MPI_CHAR, 0, mpi_comm(*this)));
  return text;
}

namespace {

/// Where texts of these sizes begin, one behind the other; the last entry is where they end.
std::vector<int> begins_of(const std::vector<int>& sizes) {
  std::vector<int> begins{0};
  std::partial_sum(sizes.begin(), sizes.end(), std::back_inserter(begins));
  return begins;
}

std::vector<std::string> cut(const std::string& all, const std::vector<int>& sizes) {
  std::vector<std::string> texts;
  size_t at = 0;
  for (const int size : sizes) texts.push_back(all.substr(std::exchange(at, at + static_cast<size_t>(size)), static_cast<size_t>(size)));
  return texts;
}

/// Every rank's size of a text or a list, on every rank.
template <class Sized>
std::vector<int> sizes_of(const Communicator& comm, const Sized& mine) {
  LAWA_CHECK(comm.sum(static_cast<int64_t>(mine.size())) <= INT32_MAX, "more than 2^31 bytes or numbers can't be gathered");
  return gather_values(comm, static_cast<int>(mine.size()), MPI_INT);
}

}  // namespace

std::vector<std::string> Communicator::gather(const std::string& text) const {
  const auto sizes = sizes_of(*this, text), begins = begins_of(sizes);
  std::string all(static_cast<size_t>(begins.back()), '\0');
  LAWA_MPI(MPI_Allgatherv(text.data(), static_cast<int>(text.size()), MPI_CHAR, all.data(), sizes.data(), begins.data(), MPI_CHAR,
                          mpi_comm(*this)));
  return cut(all, sizes);
}

std::vector<uint64_t> Communicator::gather_on(int to, const std::vector<uint64_t>& mine) const {
  const auto sizes = sizes_of(*this, mine), begins = begins_of(sizes);
  std::vector<uint64_t> all(rank() == to ? static_cast<size_t>(begins.back()) : 0);
  LAWA_MPI(MPI_Gatherv(mine.data(), static_cast<int>(mine.size()), MPI_UINT64_T, all.data(), sizes.data(), begins.data(), MPI_UINT64_T, to,
                       mpi_comm(*this)));
  return all;
}

namespace {

/// What ends a rank's work where another's has failed, which says why.
struct AnotherFailed {};

constexpr int notice_tag = 1;  // the messages of reduce_scatter_sum have 0

/// Tells all other ranks that this one has failed: empty messages, which they look for while they work.
std::vector<MPI_Request> send_notices(const Communicator& comm) {
  std::vector<MPI_Request> sent;
  for (int rank = 0; rank < comm.size(); ++rank)
    if (rank != comm.rank()) LAWA_MPI(MPI_Isend(nullptr, 0, MPI_CHAR, rank, notice_tag, mpi_comm(comm), &sent.emplace_back(MPI_REQUEST_NULL)));
  return sent;
}

/// Takes what the ranks that failed have sent to this one, and ends its own sending: the next work begins without notices. Collective.
void end_notices(const Communicator& comm, bool failed, std::vector<MPI_Request>& sent) {
  const auto all = gather_values(comm, failed ? 1 : 0, MPI_INT);
  for (int rank = 0; rank < comm.size(); ++rank)
    if (rank != comm.rank() && all[static_cast<size_t>(rank)] == 1)
      LAWA_MPI(MPI_Recv(nullptr, 0, MPI_CHAR, rank, notice_tag, mpi_comm(comm), MPI_STATUS_IGNORE));
  LAWA_MPI(MPI_Waitall(static_cast<int>(sent.size()), sent.data(), MPI_STATUSES_IGNORE));
}

}  // namespace

void Communicator::end_if_another_failed() const {
  int there = 0;
  LAWA_MPI(MPI_Iprobe(MPI_ANY_SOURCE, notice_tag, mpi_comm(*this), &there, MPI_STATUS_IGNORE));
  if (there != 0) throw AnotherFailed();
}

void Communicator::together(const std::function<void()>& work) const {
  std::string message, place;
  bool failed = false, of_system = false;
  int code = exit_error;
  try {
    work();
  } catch (const AnotherFailed&) {
  } catch (const Error& error) {
    message = error.what(), place = error.place, code = error.exit_code, of_system = error.of_system, failed = true;
  } catch (const Json::exception& error) {
    message = error.what(), place = "a text", failed = true;
  } catch (const std::exception& error) {  // of files, memory, devices
    const auto* file = dynamic_cast<const std::system_error*>(&error);
    message = error.what(), place = "the standard library", of_system = file == nullptr || file->code() != std::errc::no_such_file_or_directory, failed = true;
  }
  std::vector<MPI_Request> sent;
  if (failed) sent = send_notices(*this);
  const int64_t lowest = -max(static_cast<int64_t>(failed ? -rank() : -size()));
  if (lowest == size()) return;
  end_notices(*this, failed, sent);
  const auto from_lowest = [&](const std::string& text) { return gather(rank() == lowest ? text : "")[static_cast<size_t>(lowest)]; };
  message = from_lowest(message);
  place = from_lowest(place);
  code = std::stoi(from_lowest(std::to_string(code)));
  of_system = from_lowest(of_system ? "1" : "") == "1";
  throw Error(message, place, code, of_system);
}

void Communicator::on_root(const std::function<void()>& work) const {
  together([&] {
    if (root()) work();
  });
}

namespace {

template <class T>
void gather_in_place(const Communicator::State& state, const Exec& exec, const Vector<T>& full) {
  const Meeting meeting;
  const int64_t n = rows(full) / state.size;
  LAWA_CHECK(rows(full) == n * state.size, "all-gather of ", rows(full), " elements on ", state.size, " ranks");
  if (state.size > 1) state.collectives.all_gather(stream_of(exec), full.data(), n, sizeof(T));
}

}  // namespace

void Communicator::reduce_scatter_sum(const Exec& exec, const Vector<float>& full, const Vector<float>& mine) const {
  const Meeting meeting;
  LAWA_CHECK(rows(full) == rows(mine) * size(), "reduce-scatter of ", rows(full), " elements into ", rows(mine), " on ", size(), " ranks");
  state_->collectives.reduce_scatter_sum(stream_of(exec), full.data(), mine.data(), rows(mine));
}

void Communicator::all_gather(const Exec& exec, const Vector<float>& full) const { gather_in_place(*state_, exec, full); }
void Communicator::all_gather(const Exec& exec, const Vector<bf16>& full) const { gather_in_place(*state_, exec, full); }

}  // namespace lawa
