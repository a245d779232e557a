#!/usr/bin/env bash
# Makes sure that everything the project builds on is there: bash framework/setup/setup.sh [tests]
#
# Debian, Ubuntu, as root or with sudo: installs what is missing with apt, nothing else. Elsewhere (or with
# LAWA_SETUP=check): looks for each tool, names what is missing and how to get it, and exits with 1.
# When all is there it takes well under a second. With `tests` a Slurm (3 MB) and iproute2 are installed too where apt has them; without a
# slurm.conf Slurm's daemons don't start as services (munged, which it authenticates with, does), and tests are skipped where what they
# need isn't there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
here=framework/setup

packages=(
  g++ cmake ninja-build git
  libopenmpi-dev openmpi-bin libhdf5-openmpi-dev hdf5-tools
  libtomlplusplus-dev nlohmann-json3-dev libxxhash-dev libgtest-dev libgmock-dev
  python3 python3-numpy python3-h5py python3-pandas python3-scipy python3-matplotlib python3-pytest
)
# Not in every release: without the first the build fetches Kokkos itself, and either of the others is enough.
optional_packages=(libtrilinos-kokkos-dev libopenblas-openmp-dev libdnnl-dev)
test_packages=(slurmctld slurmd munge iproute2)   # only for tests: a Slurm, and hosts that are cut off from each other

# ---- by package -----------------------------------------------------------------------------------------------------------

# installed PACKAGE...: those among them that dpkg has installed, one a line.
installed() {
  # shellcheck disable=SC2016  # dpkg-query's own placeholders
  dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p'
}

# missing PACKAGE...: the others.
missing() {
  comm -13 <(installed "$@" | sort -u) <(printf '%s\n' "$@" | sort -u)
}

# as_root COMMAND...: runs it as root, through sudo where needed (which may ask for a password on a terminal).
as_root() {
  if ((EUID == 0)); then env DEBIAN_FRONTEND=noninteractive "$@"
  else sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

can_become_root() {
  ((EUID == 0)) && return 0
  command -v sudo >/dev/null || return 1
  sudo -n true 2>/dev/null || [[ -t 0 && -t 2 ]]
}

# apt WORD...: apt-get as root, quiet; its own words are shown only when it fails.
apt() {
  local log
  log=$(mktemp)
  if ! as_root apt-get -q -y "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    fail "apt-get $1 failed (its last words are above)"
  fi
  rm -f "$log"
}

# install_missing: everything that dpkg hasn't; the optional packages only where this release has them.
install_missing() {
  local package wanted optional
  mapfile -t wanted < <(missing "${packages[@]}")
  mapfile -t optional < <(missing "${optional_packages[@]}")
  ((${#wanted[@]} + ${#optional[@]} > 0)) && can_become_root || return 0
  if ((${#wanted[@]} > 0)); then
    printf 'setup: asking apt for its lists of packages\n' >&2
    apt update
  fi
  for package in "${optional[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then wanted+=("$package"); fi
  done
  ((${#wanted[@]} > 0)) || return 0
  printf 'setup: installing %d packages (a minute or two): %s\n' "${#wanted[@]}" "${wanted[*]}" >&2
  apt install --no-install-recommends "${wanted[@]}"
}

# install_slurm: where that isn't possible, or a cluster's Slurm is there, nothing is lost but its tests.
install_slurm() {
  [[ ! -e /etc/slurm/slurm.conf && -n $(missing "${test_packages[@]}") ]] && can_become_root || return 0
  printf 'setup: installing a Slurm for its tests\n' >&2
  (apt update && apt install --no-install-recommends "${test_packages[@]}") || printf 'setup: there is no Slurm; its tests will be skipped\n' >&2
}

# ---- by trying --------------------------------------------------------------------------------------------------------------

# has_headers CHOICE...: true if the compiler sees one of these headers; CMAKE_PREFIX_PATH is searched as well.
has_headers() {
  local header prefix flags=() test='#if'
  local IFS=':;'
  for prefix in ${CMAKE_PREFIX_PATH:-} ${HDF5_ROOT:-}; do flags+=(-I"$prefix/include"); done
  for header in "$@"; do test+=" __has_include(<$header>) ||"; done
  printf '%s 0\n#else\n#error\n#endif\n' "$test" | "${CXX:-c++}" -x c++ -std=c++17 -E "${flags[@]}" - >/dev/null 2>&1
}

has_cmake_3_22() {
  local version
  version=$(cmake --version 2>/dev/null | sed -n '1s/[^0-9]*//p')
  [[ -n $version && $(printf '%s\n3.22\n' "$version" | sort -V | head -n 1) == 3.22 ]]
}

has_parallel_hdf5() {
  local wrapper
  for wrapper in "${HDF5_ROOT:+$HDF5_ROOT/bin/h5pcc}" h5pcc h5pcc.openmpi h5cc; do
    [[ -n $wrapper ]] && "$wrapper" -showconfig 2>/dev/null | grep -qi 'parallel hdf5: *\(yes\|on\)' && return 0
  done
  return 1
}

has_python_modules() {
  "$python" - "$@" 2>/dev/null <<'END'
import sys
from importlib.util import find_spec
sys.exit(sys.version_info < (3, 9) or any(find_spec(name) is None for name in sys.argv[1:]))
END
}

# look_for NAME COMMAND...: remembers NAME in `absent` where the command says no.
absent=()
look_for() {
  local name=$1
  shift
  "$@" >/dev/null 2>&1 || absent+=("$name")
}

look_for_everything() {
  look_for 'a C++20 compiler, GCC 11 or Clang 14 at least (c++; CXX names another)' command -v "${CXX:-c++}"
  look_for 'CMake 3.22 or newer' has_cmake_3_22
  look_for 'Ninja (ninja)' command -v ninja
  look_for 'git' command -v git
  look_for 'an MPI compiler wrapper (mpicxx)' command -v mpicxx
  look_for 'an MPI launcher (mpirun)' command -v mpirun
  look_for 'parallel HDF5 (h5pcc; a serial build will not do)' has_parallel_hdf5
  look_for 'toml++ (toml++/toml.h)' has_headers toml++/toml.h
  look_for 'nlohmann json (nlohmann/json.hpp)' has_headers nlohmann/json.hpp
  look_for 'xxHash (xxhash.h)' has_headers xxhash.h
  look_for 'GoogleTest (gtest/gtest.h)' has_headers gtest/gtest.h
  look_for 'oneDNN or a CBLAS (oneapi/dnnl/dnnl.h or cblas.h)' has_headers \
    oneapi/dnnl/dnnl.h cblas.h openblas/cblas.h openblas-openmp/cblas.h
  look_for 'Python 3.9 or newer with numpy, h5py, pandas, scipy, matplotlib, pytest (LAWA_PYTHON names it)' \
    has_python_modules numpy h5py pandas scipy matplotlib pytest
  look_for 'TOML for Python (part of 3.11; tomli before)' has_tomllib
}

has_tomllib() {
  has_python_modules tomllib || has_python_modules tomli
}

# ---- what happens -------------------------------------------------------------------------------------------------------------

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null && [[ ${LAWA_SETUP:-} != check ]]; then
  if "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 11))' 2>/dev/null; then packages+=(python3-tomli); fi
  install_missing
  if [[ ${1:-} == tests ]]; then install_slurm; fi
  [[ -z $(missing "${packages[@]}") ]] && exit 0
fi

look_for_everything
if ((${#absent[@]} > 0)); then
  {
    printf 'setup: missing on this machine:\n'
    printf '  - %s\n' "${absent[@]}"
    printf 'How to get it:\n'
    if command -v apt-get >/dev/null; then
      printf '  an administrator:  apt-get install %s\n' "${packages[*]} ${optional_packages[*]}"
    fi
    printf '  with Spack:        spack env create lawa %s/spack.yaml && spack -e lawa install && spack env activate lawa\n' "$here"
    printf '  with modules:      %s/modules.md\n' "$here"
  } >&2
  exit 1
fi
