# shellcheck shell=bash disable=SC2034
# Sourced by the project's shell scripts: what they need to agree on. Sets `root` (the project's folder) and `python`.
#
#   LAWA_PYTHON   the interpreter to use (default: /usr/bin/python3 where it exists, as the one first on PATH may lack modules)
#   LAWA_RANKS    MPI ranks (default: the machine's cores, at most 2)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

if [[ -n ${LAWA_PYTHON:-} ]]; then python=$LAWA_PYTHON
elif [[ -x /usr/bin/python3 ]]; then python=/usr/bin/python3
else python=python3
fi
export LAWA_PYTHON=$python

cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
ranks=${LAWA_RANKS:-$((cores < 2 ? cores : 2))}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}   # a rank a core; BLAS threads on top would only compete

export OMPI_MCA_pml=${OMPI_MCA_pml:-ob1}       # one machine: shared memory; looking for networks takes 0.2 s of every start

# Asked to end by SIGINT or SIGTERM, mpirun waits so many seconds, sends SIGTERM to the ranks, waits again, and kills them. SIGUSR1 it
# passes on at once. It waits as long, too, where one rank has ended with an error and others are about to.
export OMPI_MCA_odls_base_sigkill_timeout=${OMPI_MCA_odls_base_sigkill_timeout:-5}

if ((EUID == 0)); then   # Open MPI asks twice before it runs as root (containers, CI)
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
if ((ranks > cores)); then
  export OMPI_MCA_rmaps_base_oversubscribe=1
fi

# fail MESSAGE...: one message on stderr, and the end of the script.
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# clock SECONDS: the duration as m:ss (h:mm:ss from an hour on).
clock() {
  if (($1 < 3600)); then printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
  else printf '%d:%02d:%02d' $(($1 / 3600)) $(($1 / 60 % 60)) $(($1 % 60))
  fi
}
