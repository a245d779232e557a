#include "comm/watchdog.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <sstream>
#include <tuple>
#include <utility>

#include "core/activity.hpp"
#include "core/byte_file.hpp"
#include "core/host_name.hpp"
#include "core/error.hpp"
#include "core/timer.hpp"

namespace lawa {
namespace {

/// What a rank tells rank 0, as it lies in memory: all ranks run the same program.
struct Sign {
  uint64_t token;
  int64_t rank, meetings;
  double idle;  ///< seconds since anything has gone on
  std::array<char, 32> outer, inner;
};
/// What rank 0 answers: the token; its complement where the job ends now; 0 where rank 0 is done.
using Answer = uint64_t;

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int descriptor() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

bool ready(int descriptor, short what, double seconds) {
  struct pollfd one {descriptor, what, 0};
  return ::poll(&one, 1, static_cast<int>(1000 * seconds)) > 0;
}

std::array<char, 32> text32(const char* text) {
  std::array<char, 32> out{};
  std::strncpy(out.data(), text, out.size() - 1);
  return out;
}

/// Time as it passes for this thread: that in which the process itself is stopped (a job that Slurm suspends, say) hardly counts.
class Turns {
 public:
  explicit Turns(double longest) : longest_(longest) {}
  /// Seconds since the last call.
  double next() { return std::min(clock_.restart(), longest_); }

 private:
  double longest_;
  Stopwatch clock_;
};

/// What this rank is at, and since when.
class OwnSigns {
 public:
  OwnSigns(uint64_t token, int rank) : token_(token), rank_(rank) {}
  Sign next(double passed) {
    const Activity now = activity();
    idle_ = std::exchange(changes_, now.changes) == now.changes ? idle_ + passed : 0;
    return {token_, rank_, now.meetings, idle_, text32(now.outer), text32(now.inner)};
  }
  Sign last() const { return {token_, rank_, gone, 0, {}, {}}; }
  static constexpr int64_t gone = -1;  ///< in place of meetings

 private:
  uint64_t token_;
  int rank_;
  int64_t changes_ = -1;
  double idle_ = 0;
};

std::string part_of_work(const Sign& sign) {
  const std::string outer = sign.outer.data(), inner = sign.inner.data();
  return outer.empty() ? "between its parts" : inner.empty() ? outer : outer + "/" + inner;
}

std::string rounded(double seconds) { return std::to_string(static_cast<int64_t>(seconds)) + " s"; }

/// This machine's IPv4 addresses, the loopback's last.
std::vector<std::string> own_addresses() {
  std::vector<std::string> found;
  struct ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return {"127.0.0.1"};
  for (const struct ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET || (one->ifa_flags & IFF_UP) == 0) continue;
    struct sockaddr_in address {};
    std::memcpy(&address, one->ifa_addr, sizeof address);
    std::array<char, INET_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
    found.emplace_back(text.data());
  }
  ::freeifaddrs(all);
  std::ranges::stable_partition(found, [](const std::string& address) { return !address.starts_with("127."); });
  return found;
}

/// A socket that listens, and "token port address address …"; nothing where the system allows none.
std::optional<std::pair<int, std::string>> listen_somewhere() {
  Socket made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct sockaddr_in any {};
  any.sin_family = AF_INET;
  socklen_t size = sizeof any;
  if (made.descriptor() < 0 || ::bind(made.descriptor(), reinterpret_cast<struct sockaddr*>(&any), size) != 0 ||
      ::listen(made.descriptor(), SOMAXCONN) != 0 || ::getsockname(made.descriptor(), reinterpret_cast<struct sockaddr*>(&any), &size) != 0)
    return std::nullopt;
  std::random_device random;
  std::string text = concat((uint64_t{random()} << 32) | random(), " ", ntohs(any.sin_port));
  for (const std::string& address : own_addresses()) text += " " + address;
  return std::pair{made.release(), text};
}

std::string broadcast(MPI_Comm comm, std::string text) {
  int size = static_cast<int>(text.size());
  MPI_Bcast(&size, 1, MPI_INT, 0, comm);
  text.resize(static_cast<size_t>(size));
  MPI_Bcast(text.data(), size, MPI_CHAR, 0, comm);
  return text;
}

}  // namespace

double hang_seconds() {
  const char* text = std::getenv("LAWA_HANG_SECONDS");
  if (text == nullptr) return 600;
  char* end = nullptr;
  const double seconds = std::strtod(text, &end);
  LAWA_CHECK(*text != 0 && *end == 0 && seconds >= 0, "LAWA_HANG_SECONDS: \"", text, "\" isn't a number of seconds");
  return seconds;
}

Watchdog::Watchdog(MPI_Comm comm, double seconds, std::function<void(const std::string&)> lost) : seconds_(seconds), lost_(std::move(lost)) {
  int size = 1;
  MPI_Comm_rank(comm, &rank_);
  MPI_Comm_size(comm, &size);
  MPI_Bcast(&seconds_, 1, MPI_DOUBLE, 0, comm);  // launchers don't give the environment to every host
  if (size == 1 || seconds_ == 0) return;
  std::array<char, 64> host{};
  host_name().copy(host.data(), host.size() - 1);
  std::vector<std::array<char, 64>> hosts(static_cast<size_t>(size));
  MPI_Allgather(host.data(), 64, MPI_CHAR, hosts.data(), 64, MPI_CHAR, comm);
  for (const auto& name : hosts) hosts_.emplace_back(name.data());
  int listener = -1;
  if (rank_ == 0 && static_cast<size_t>(size) < files_to_open() / 2)  // it has a connection with each
    if (const auto made = listen_somewhere()) std::tie(listener, addresses_) = *made;
  addresses_ = broadcast(comm, addresses_);
  if (addresses_.empty()) return;
  sigset_t all, before;  // signals are the first thread's
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, listener] { rank_ == 0 ? watch_all(listener) : report(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) thread_.join();
}

namespace {

/// In which ranks find each other; later they look less often.
constexpr double first_seconds = 10;

/// How often a sign is given, and how long anything is waited for in one go.
double interval(double seconds) { return std::min(1.0, seconds / 10); }

/// What rank 0 knows of another one.
struct Other {
  std::optional<Socket> socket{};
  Sign sign{};
  double silent = 0;     ///< seconds
  bool watched = false;  ///< it has been heard from, and hasn't said that it is done
};

/// Reads the signs that lie there; the last one counts. False: the other end is gone.
bool read_signs(int descriptor, uint64_t token, std::optional<Sign>& last) {
  for (Sign sign{};;) {
    const ssize_t size = ::recv(descriptor, &sign, sizeof sign, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return true;
    if (size != sizeof sign || sign.token != token) return false;  // a sign is one segment: it comes whole
    last = sign;
  }
}

}  // namespace

void Watchdog::rest(bool know_each_other) const {
  const double seconds = know_each_other ? interval(seconds_) : std::min(interval(seconds_), 0.02);
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return ends_.load(); });
}

void Watchdog::watch_all(int listener) {
  const Socket listening(listener);
  const uint64_t token = std::stoull(addresses_);
  OwnSigns own(token, 0);
  std::vector<Other> others(hosts_.size());
  std::vector<Socket> strangers;  // who hasn't said yet which rank it is
  const auto take = [&](Socket& socket, const Sign& sign) {
    if (sign.rank <= 0 || sign.rank >= std::ssize(others)) return;
    Other& other = others[static_cast<size_t>(sign.rank)];
    other.sign = sign;
    other.watched = sign.meetings != OwnSigns::gone;
    other.silent = 0;
    if (!other.socket || &socket != &*other.socket) other.socket.emplace(std::move(socket));
    ::send(other.socket->descriptor(), &token, sizeof token, MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  const auto named = [&](int64_t rank, const Sign& sign) {
    return concat("rank ", rank, " on ", hosts_[static_cast<size_t>(rank)], " (", part_of_work(sign), ")");
  };
  const auto answer_all = [&](Answer answer) {
    for (const Other& other : others)
      if (other.socket) ::send(other.socket->descriptor(), &answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  const auto give_up = [&](const std::string& words) {
    answer_all(~token);
    lost_(words);
    ends_ = true;
  };

  const Stopwatch since_start;
  bool all_watched = false;
  for (Turns turns(2 * interval(seconds_)); !ends_;) {
    rest(all_watched || since_start.seconds() > first_seconds);
    while (ready(listener, POLLIN, 0)) {
      const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) break;
      strangers.emplace_back(accepted);
    }
    std::erase_if(strangers, [&](Socket& stranger) {
      std::optional<Sign> sign;
      const bool there = read_signs(stranger.descriptor(), token, sign);
      if (sign) take(stranger, *sign);
      return !there || sign;
    });
    for (Other& other : others) {
      if (!other.socket) continue;
      std::optional<Sign> sign;
      const bool there = read_signs(other.socket->descriptor(), token, sign);
      if (sign) take(*other.socket, *sign);
      if (!there) other.socket.reset();
    }

    const double passed = turns.next();
    const Sign mine = own.next(passed);
    std::string silent;
    int64_t silent_ranks = 0, watched = 1;
    double longest = 0, idle = mine.idle;
    int64_t fewest = mine.meetings;
    for (size_t rank = 1; rank < others.size(); ++rank) {
      Other& other = others[rank];
      if (!other.watched) continue;
      ++watched;
      other.silent += passed;
      idle = std::min(idle, other.sign.idle);
      fewest = std::min(fewest, other.sign.meetings);
      if (other.silent <= seconds_) continue;
      longest = std::max(longest, other.silent);
      if (++silent_ranks <= 8) silent += (silent.empty() ? "" : ", ") + named(static_cast<int64_t>(rank), other.sign);
    }
    all_watched = watched == std::ssize(hosts_);
    if (silent_ranks > 0) {
      if (silent_ranks > 8) silent += concat(" and ", silent_ranks - 8, " more");
      give_up(concat(silent, ": not heard from for ", rounded(longest), " (LAWA_HANG_SECONDS): stopped, or cut off from ", hosts_[0]));
    } else if (all_watched && idle > seconds_) {
      std::string late;
      int64_t late_ranks = 0;
      for (size_t rank = 0; rank < others.size(); ++rank) {
        const Sign& sign = rank == 0 ? mine : others[rank].sign;
        if (sign.meetings == fewest && ++late_ranks <= 8) late += (late.empty() ? "" : ", ") + named(static_cast<int64_t>(rank), sign);
      }
      give_up(concat("nothing has gone on for ", rounded(idle), " (LAWA_HANG_SECONDS): ",
                     late_ranks == std::ssize(hosts_) ? "all ranks wait: " : "the others wait for ", late));
    }
  }
  answer_all(0);
}

void Watchdog::report() {
  std::istringstream words(addresses_);
  uint64_t token = 0;
  uint16_t port = 0;
  words >> token >> port;
  std::vector<std::string> addresses;
  for (std::string address; words >> address;)
    if (!address.starts_with("127.") || hosts_[static_cast<size_t>(rank_)] == hosts_[0]) addresses.push_back(address);

  OwnSigns own(token, rank_);
  Socket socket(-1);
  double silent = 0;
  bool ever = false;  // rank 0 has answered; who else listens there may never do so
  const auto listen = [&] {  // false: there is nobody at the other end
    Answer answer = 0;
    if (!ready(socket.descriptor(), POLLIN, 0)) return true;
    if (::recv(socket.descriptor(), &answer, sizeof answer, MSG_DONTWAIT) != sizeof answer) return false;
    if (answer == ~token) lost_("");
    if (answer != token) ends_ = true;
    silent = 0;
    return ever = true;
  };
  Turns turns(2 * interval(seconds_));
  const Stopwatch since_start;
  for (size_t next = 0; !ends_;) {
    const double passed = turns.next();
    const Sign sign = own.next(passed);
    silent += passed;
    if (socket.descriptor() < 0 && !addresses.empty()) {
      struct sockaddr_in there {};
      there.sin_family = AF_INET;
      there.sin_port = htons(port);
      ::inet_pton(AF_INET, addresses[next++ % addresses.size()].c_str(), &there.sin_addr);
      Socket trial(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const bool at_once = ::connect(trial.descriptor(), reinterpret_cast<struct sockaddr*>(&there), sizeof there) == 0;
      if (at_once || ready(trial.descriptor(), POLLOUT, 0.1)) socket = std::move(trial);
    }
    if (socket.descriptor() >= 0) {
      const ssize_t sent = ::send(socket.descriptor(), &sign, sizeof sign, MSG_NOSIGNAL | MSG_DONTWAIT);
      const bool there = sent == sizeof sign || (sent < 0 && errno == EAGAIN);
      if (!there || !listen()) socket = Socket(-1);
      if (!ever && silent > 5 * interval(seconds_)) {
        socket = Socket(-1);
        silent = 0;
      }
    }
    if (ever && silent > seconds_)
      return lost_(concat("rank 0 on ", hosts_[0], ": not heard from for ", rounded(silent),
                          " (LAWA_HANG_SECONDS): stopped, or cut off from ", hosts_[static_cast<size_t>(rank_)]));
    rest(ever || since_start.seconds() > first_seconds);
  }
  const Sign goodbye = own.last();
  if (socket.descriptor() >= 0) ::send(socket.descriptor(), &goodbye, sizeof goodbye, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace lawa
