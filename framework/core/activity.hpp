// What this process is at, as another of its threads sees it: whoever watches over the ranks of a job asks here.
#pragma once
#include <cstdint>

namespace lawa {

struct Activity {
  int64_t changes = 0;    ///< grows whenever something has gone on; an equal number later: nothing has
  int64_t meetings = 0;   ///< collective calls that were begun: equal on ranks that do the same
  const char *outer = "", *inner = "";  ///< the outermost part of the work, and the innermost: "training", "gemm"
};

/// Of this process, on any thread.
Activity activity();

/// Something has gone on. On any thread.
void note_change();
/// A collective call begins.
void note_meeting();
/// A part of the work begins, inside the one before it, and ends. `name` is a literal. On the program's own thread.
void begin_part(const char* name);
void end_part();

}  // namespace lawa
