#!/usr/bin/env bash
# Configures (when needed) and builds one CMake preset, or only some targets: bash framework/setup/build.sh [cpu|debug|tsan|team|fuzz|cuda] [TARGET...]
# One moving line on a terminal, silence elsewhere; the compiler's words only when it fails.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
preset=${1:-cpu}
targets=("${@:2}")
[[ ${#targets[@]} == 0 ]] && targets=(all)
cd "$root"
log=build/$preset.log
mkdir -p build

# quietly COMMAND...: its output goes to the log, and the log's end to the screen when it fails.
quietly() {
  if ! "$@" >>"$log" 2>&1; then
    tail -n 60 "$log" >&2
    fail "building the preset '$preset' failed; all of its output: $log"
  fi
}

: >"$log"
if [[ ! -f build/$preset/build.ninja || CMakePresets.json -nt build/$preset/build.ninja ]]; then
  printf 'build: configuring %s\n' "$preset" >&2
  quietly cmake --preset "$preset"
fi
if [[ -t 2 ]]; then
  export NINJA_STATUS='build: %f of %t, %e s  '   # ninja rewrites this line in place
  cmake --build --preset "$preset" --parallel "$cores" --target "${targets[@]}" >&2 || fail "building the preset '$preset' failed"
else
  quietly cmake --build --preset "$preset" --parallel "$cores" --target "${targets[@]}"
fi
