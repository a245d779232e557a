#include "core/stop_request.hpp"

#include <array>
#include <csignal>
#include <ctime>
#include <limits>

namespace lawa {
namespace {

double now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);  // which a handler may call
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// A handler can reach nothing else.
const double began_at = now();
double due_at = std::numeric_limits<double>::infinity();
volatile std::sig_atomic_t noted_signal = 0;
volatile double noted_at = 0;  // valid when there is a signal

void note(int signal) {
  if (signal == SIGINT) std::signal(SIGINT, SIG_DFL);  // the next one ends the process
  if (noted_signal != 0) return;
  noted_at = now();
  noted_signal = signal;
}

StopReason reason_of(int signal) {
  if (signal == SIGUSR1) return user_signal;
  return signal == SIGTERM ? terminated : interrupted;
}

}  // namespace

std::string name(StopReason reason) {
  constexpr std::array names{"nothing", "run.wall_seconds", "SIGINT", "SIGTERM", "SIGUSR1"};
  return names.at(static_cast<size_t>(reason));
}

// The handler gets a stack of its own (the main thread, which takes the signals of a process, does): oneDNN's kernels point the stack
// register into their heap buffers, and what a handler puts
// there overwrites the heap.
void note_stop_signals() {
  static std::array<char, 1 << 16> memory;
  stack_t stack{};
  stack.ss_sp = memory.data();
  stack.ss_size = memory.size();
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = note;
  action.sa_flags = SA_ONSTACK | SA_RESTART;  // reads and writes under way go on
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) ::sigaction(signal, &action, nullptr);
}

void request_stop_at(double seconds) { due_at = began_at + seconds; }

StopReason stop_request() {
  if (noted_signal != 0) return reason_of(noted_signal);
  return now() >= due_at ? out_of_time : no_stop;
}

double seconds_since_stop_request() {
  if (noted_signal != 0) return now() - noted_at;
  return stop_request() == no_stop ? 0 : now() - due_at;
}

double program_seconds() { return now() - began_at; }

void stop_if_requested() {
  if (const StopReason reason = stop_request(); reason != no_stop) throw Stopped(reason);
}

}  // namespace lawa
