#!/usr/bin/env bash
# Has libFuzzer look for inputs that break a reader: bash tests/fuzz/run.sh [SECONDS [TARGET...]], 60 seconds for each target without them.
# Needs Clang 14 or newer with its compiler-rt (Debian: clang libclang-rt-dev). What it finds is left in build/fuzz/found/TARGET; a small
# form of it (-minimize_crash=1) belongs in tests/fuzz/corpus/TARGET, under a name that says what it is.
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$project/framework/setup/environment.sh"
cd "$root"
command -v clang++ >/dev/null || fail "there is no clang++; without it, LAWA_FUZZ_INPUTS=100000 ctest --preset debug -R '^fuzz\.' makes random changes"

seconds=${1:-60}
targets=("${@:2}")
[[ ${#targets[@]} == 0 ]] && mapfile -t targets < <(sed -n 's/^lawa_fuzz(\([a-z_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
bash framework/setup/build.sh fuzz "${targets[@]/#/libfuzzer_}" "${targets[@]/#/fuzz_}"

bad=()
for target in "${targets[@]}"; do
  made=build/fuzz/made/$target grown=build/fuzz/grown/$target found=build/fuzz/found/$target kept=tests/fuzz/corpus/$target
  mkdir -p "$grown" "$found"
  "build/fuzz/tests/fuzz_$target" --write "$made"
  folders=("$grown" "$made")
  if [[ -d $kept ]]; then folders+=("$kept"); fi
  printf 'fuzz: %s, %d s\n' "$target" "$seconds" >&2
  ASAN_OPTIONS=detect_leaks=0 "build/fuzz/tests/libfuzzer_$target" "${folders[@]}" -max_total_time="$seconds" -max_len=300000 -timeout=5 \
    -malloc_limit_mb=256 -rss_limit_mb=4096 -artifact_prefix="$found/" -print_final_stats=1 >"build/fuzz/$target.log" 2>&1 ||
    { bad+=("$target"); tail -n 40 "build/fuzz/$target.log" >&2; }
  grep -E 'stat::number_of_executed_units|stat::peak_rss' "build/fuzz/$target.log" >&2 || true
done
[[ ${#bad[@]} == 0 ]] || fail "found something in: ${bad[*]}"
