// Why a program should stop early: SIGUSR1, SIGTERM, SIGINT, or a time that has come. Loops ask where they can stop well; each process
// asks for itself, and ranks agree by the largest reason of all of them.
#pragma once
#include <cstdint>
#include <string>

#include "core/error.hpp"

namespace lawa {

/// What a rank sends to the others: 0 for nothing, so that the largest counts.
enum StopReason : int64_t { no_stop, out_of_time, interrupted, terminated, user_signal };
/// "SIGUSR1"; "run.wall_seconds" for out_of_time, as that key sets the time.
std::string name(StopReason reason);

/// From now on the three signals are noted, where they would have ended the process. A second SIGINT ends it all the same, at once.
/// For main(), before it does anything else.
void note_stop_signals();
/// Counts as a request from then on [program_seconds()].
void request_stop_at(double seconds);
/// The request of this process: the first signal that came, else out_of_time.
StopReason stop_request();
/// Seconds since the request (a signal's: since its handler ran); 0 without one.
double seconds_since_stop_request();
/// Seconds that this program has been running.
double program_seconds();

/// A program that ends because it was asked to. What it was doing is named behind the reason: "stopped by SIGTERM: nothing is written".
struct Stopped : Error {
  explicit Stopped(StopReason why, const std::string& more = "")
      : Error(concat("stopped by ", name(why), more), concat(__FILE__, ":", __LINE__), exit_stopped), reason(why) {}
  StopReason reason;
};
/// Errors: Stopped, where this process has a request.
void stop_if_requested();

/// work(); when it stops because it was asked to, the error says more() as well.
template <class Work, class More>
void saying_when_stopped(Work&& work, More&& more) {
  try {
    work();
  } catch (const Error& error) {
    if (error.exit_code != exit_stopped) throw;
    throw Error(concat(error.what(), more()), error.place, exit_stopped);
  }
}

}  // namespace lawa
