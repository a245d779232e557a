// Whether somebody watches what this process prints on stderr.
#pragma once

namespace lawa {

/// Whether a line there may move, as on a terminal: where stderr is one, or mpirun hands it on to one on this machine. mpirun is the
/// nearest ancestor whose stderr isn't this process's own; what it shows on another machine can't be seen from here. LAWA_PROGRESS=line in
/// the environment says that it may, LAWA_PROGRESS=lines that it may not. Errors: another LAWA_PROGRESS.
bool shows_moving_lines();

}  // namespace lawa
