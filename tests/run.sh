#!/usr/bin/env bash
# Sets up, builds and runs every test: bash tests/run.sh [--full]
#
#   --full   adds the tests labelled "long", all C++ tests once more under AddressSanitizer and UBSan, with 10,000 hostile inputs for each
#            reader (their seed is printed), those of several threads under ThreadSanitizer, those of kernels in the form that devices
#            run, and the whole fault campaign
set -euo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
trap 'printf "\nstopped\n" >&2; exit 130' INT TERM
SECONDS=0

full=no
case ${1:-} in
  '') ;;
  --full) full=yes ;;
  *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac

bash "$project/framework/setup/setup.sh" tests
source "$project/framework/setup/environment.sh"   # after the set-up: it may just have installed Python
cd "$root"
reports=build/reports
rm -rf "$reports"
mkdir -p "$reports"

# run_ctest PRESET [OPTION...]: the C++ tests of a preset, two processes at a time (a test of 3 ranks counts as 3).
declare -A targets=(   # of a preset that has only some of them
  [tsan]=threads_tests
  [team]='test_tensor test_ops test_optim test_model test_parity test_training_step'
)
run_ctest() {
  printf 'tests: C++, preset %s\n' "$1" >&2
  bash framework/setup/build.sh "$1" ${targets[$1]:-} || return 1   # this function runs where set -e does not reach
  ctest --preset "$1" --parallel 2 --no-tests=error --output-junit "$root/$reports/ctest_$1.xml" "${@:2}"
}

# run_pytest: the Python tests, of every folder that has some.
run_pytest() {
  local folders
  mapfile -t folders < <(find tests -name 'test_*.py' -exec dirname {} + | sort -u)
  printf 'tests: Python, %s\n' "${folders[*]}" >&2
  "$python" -m pytest -q "${folders[@]}" --junit-xml "$reports/pytest.xml"
}

# Set in full runs too, and harmless without sanitizers: Open MPI keeps 121 kB until the process ends.
export LSAN_OPTIONS="suppressions=$root/tests/support/lsan.supp:print_suppressions=0:fast_unwind_on_malloc=0"
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS="suppressions=$root/tests/support/tsan.supp:second_deadlock_stack=1"

failed=no
if [[ $full == yes ]]; then
  run_ctest cpu || failed=yes
  export LAWA_FUZZ_INPUTS=10000 LAWA_FUZZ_SEED=$(date +%s)
  printf 'tests: hostile inputs, seed %s\n' "$LAWA_FUZZ_SEED" >&2
  run_ctest debug || failed=yes
  run_ctest tsan || failed=yes
  run_ctest team || failed=yes
else
  run_ctest cpu --label-exclude '^long$' || failed=yes
fi
run_pytest || failed=yes
if [[ $full == yes ]]; then
  printf 'tests: faults, thousands\n' >&2
  "$python" tests/fault/campaign.py --full --table "$reports/faults.jsonl" || failed=yes
fi

# The closing line counts from the reports, so that it can't claim tests that didn't run.
"$python" - "$reports" "$(clock $SECONDS)" "$failed" <<'END'
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

reports, duration, failed = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "yes"

def count(pattern):
    """(run, failed, skipped) over the test suites in the matching JUnit reports."""
    suites = [suite for path in sorted(reports.glob(pattern)) for suite in xml.parse(path).getroot().iter("testsuite")]
    total, bad, skipped = (sum(int(suite.get(name) or 0) for suite in suites for name in names)
                           for names in (["tests"], ["failures", "errors"], ["skipped", "disabled"]))
    return total - skipped, bad, skipped

cpp, python = count("ctest_*.xml"), count("pytest.xml")
bad, skipped = cpp[1] + python[1], cpp[2] + python[2]
nothing = [name for name, counts in (("C++", cpp), ("Python", python)) if counts[0] == 0]
result = (f"NO {' AND NO '.join(nothing)} TESTS RAN" if nothing else f"{bad} FAILED" if bad
          else "FAILED (see above)" if failed else "all passed")
print(f"tests: {cpp[0]} C++ (ctest), {python[0]} Python (pytest){f', {skipped} skipped' if skipped else ''}: {result} in {duration}")
sys.exit(result != "all passed")
END
