# shellcheck shell=bash
# Sourced by the batch scripts: `lawa` under srun, stopped in time and queued again; how many ranks; where the tokens are.
#
#   LAWA_LAUNCH           starts a program on {ranks} ranks (default: srun, with the site's kind of MPI)
#   LAWA_RANKS_PER_NODE   default: a rank a GPU, or a core where there are none
#   LAWA_REQUEUES         how often a job may be queued again (default: 20)
#   LAWA_STRIPE           a command that is called with a run's folder before it is filled: lfs setstripe -c 8
# `source slurm/use SYSTEM` sets them, and the partition and account that sbatch asks for, from slurm/systems/SYSTEM.toml.
#
# Before the time is over (#SBATCH --signal=B:USR1@120), or when the job is preempted, Slurm signals this shell. The signal goes on as
# USR1: on TERM srun would end its tasks at once. lawa then writes a durable checkpoint and ends with 4, and the job is queued again;
# it goes on from that checkpoint. It is queued again, too, when a rank was lost (200: stopped, or cut off from the others for
# LAWA_HANG_SECONDS). After any other code the job ends with it: 0 done, 1 an error, 3 the run diverged.
set -euo pipefail
: "${SLURM_JOB_ID:?submit this script with sbatch}"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # experiment_task.sh's
python=$(source "$root/framework/setup/environment.sh" && echo "$python")
program=$root/build/${LAWA_PRESET:-cpu}/bin/lawa
any_mpi='srun --ntasks={ranks} --kill-on-bad-exit=0 --wait=60'   # all ranks end alike; a lost one leaves the others a minute
export LAWA_LAUNCH=${LAWA_LAUNCH:-$any_mpi} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

# end_job MESSAGE...: before anything has started.
end_job() {
  printf '%s: %s\n' "$SLURM_JOB_NAME" "$*" >&2
  exit 1
}

[[ -x $program ]] || end_job "$program isn't built: bash framework/setup/build.sh ${LAWA_PRESET:-cpu}"

# value KEY DEFAULT WORD...: what the last word KEY=… says.
value() {
  local word found=$2
  for word in "${@:3}"; do
    if [[ $word == "$1="* ]]; then found=${word#*=}; fi
  done
  printf '%s' "$found"
}

# need_tokens WORD...: the file that is trained on must be there (of an array, a pattern, a ~ or $NAME, or those of an own .toml, lawa says it).
need_tokens() {
  local file
  [[ " $* " == *'.toml '* ]] && return
  file=$(value data.train tokens/train.bin "$@")
  [[ $file == *[][*?~\$]* || -e $file ]] || end_job "data.train: there is no $file; make it (hours, tens of GB) with
  python3 data/prepare.py --source openwebtext --tokenizer gpt2 --output $(dirname "$file")
and see data/README.md for other texts"
}

# stoppable COMMAND...: runs it, passes the request to stop on, and ends the job.
stoppable() {
  local code=0
  asked=no
  "$@" &
  process=$!
  trap 'asked=yes; printf "%s: asked to stop\n" "$SLURM_JOB_NAME"; kill -USR1 "$process" 2>/dev/null || true' USR1 TERM
  while kill -0 "$process" 2>/dev/null; do wait "$process" || true; done   # a signal ends wait, not the process
  wait "$process" || code=$?
  trap - USR1 TERM
  if [[ $code == 4 || $asked$code == yes138 ]]; then again 'stopped, its state is safe'; fi   # 138: USR1 came before anybody listened for it
  if [[ $code == 200 ]]; then again 'a rank was lost'; fi
  exit "$code"
}

# again REASON: puts the job back into the queue, unless somebody has cancelled it or it was there often enough.
again() {
  local before=${SLURM_RESTART_COUNT:-0} most=${LAWA_REQUEUES:-20}
  [[ $(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T) == RUNNING ]] || return 0
  if ((before < most)); then
    printf '%s: %s; queued again (%d of at most %d times)\n' "$SLURM_JOB_NAME" "$1" $((before + 1)) "$most"
    scontrol requeue "$SLURM_JOB_ID"
    sleep 60   # Slurm ends this shell meanwhile; its exit code would be taken for the next start's
  else
    printf '%s: %s; not queued again after %d times (LAWA_REQUEUES)\n' "$SLURM_JOB_NAME" "$1" "$most" >&2
  fi
}

# run_lawa WORD...: on the whole allocation, or on as many ranks as --ntasks says.
run_lawa() {
  local ranks launch
  ranks=${SLURM_NTASKS:-$((SLURM_JOB_NUM_NODES * ${LAWA_RANKS_PER_NODE:-${SLURM_GPUS_ON_NODE:-$SLURM_CPUS_ON_NODE}}))}
  read -ra launch <<<"${LAWA_LAUNCH//\{ranks\}/$ranks}"
  stoppable "${launch[@]}" "$program" "$@"
}

# train_gpt2 MODEL WORD...: as the paper trains it, with averages; WORDs are files and keys of `lawa train`.
train_gpt2() {
  local folder words=("$root/experiments/models/$1.toml" "$root/slurm/lawa.toml" "run.directory=runs/gpt2_$1_lawa" "${@:2}")
  need_tokens "${@:2}"
  folder=$(value run.directory '' "${words[@]}")
  if [[ -n ${LAWA_STRIPE:-} && ! -e $folder ]]; then
    mkdir -p "$folder"
    $LAWA_STRIPE "$folder"
  fi
  run_lawa train "${words[@]}"
}
