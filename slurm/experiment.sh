#!/usr/bin/env bash
#SBATCH --job-name=experiment
#SBATCH --ntasks=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.out
#
# Makes a figure on a cluster: bash slurm/experiment.sh FIGURE [SCALE] [SBATCH OPTION…] submits its runs as a job array, and behind it a
# job that draws, or names the runs that have failed and ends with 1. On a login node, or itself with sbatch. SCALE is smoke,
# workstation (the default), gpu or paper; the options are the array's: --time=48:00:00. At most LAWA_TASKS (default 16) runs side by
# side. What the runs take: python3 experiments/run.py FIGURE --scale SCALE --dry-run
set -euo pipefail
root=${LAWA_ROOT:-${SLURM_SUBMIT_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}}
cd "$root"
python=$(source framework/setup/environment.sh && echo "$python")
figure=${1:?bash slurm/experiment.sh FIGURE [SCALE] [SBATCH OPTION…]} scale=${2:-workstation}

read -r places ranks < <("$python" experiments/run.py "$figure" --scale "$scale" --array) || exit 1   # and the text is there
for name in "${!SLURM_@}"; do   # of the job that this script may be in; they would speak to sbatch and srun
  if [[ $name != SLURM_CONF ]]; then unset "$name"; fi
done
options=(--ntasks="$ranks" "${@:3}")
if [[ -n ${SBATCH_GPUS_PER_NODE:-} ]]; then   # whole nodes are for the large runs
  unset SBATCH_GPUS_PER_NODE
  options+=(--gpus-per-task=1)
fi
task=(slurm/experiment_task.sh "$figure" "$scale" "$places")
array=$(sbatch --parsable --job-name="$figure" --array="1-$places%${LAWA_TASKS:-16}" "${options[@]}" "${task[@]}")
alone="sbatch --job-name=$figure --array=PLACE ${options[*]} ${task[*]}"
draw=$(sbatch --parsable --job-name="${figure}_draw" --ntasks=1 --time=01:00:00 --output=%x-%j.out --dependency="afterany:${array%%;*}" \
  --wrap="$(printf '%q ' "$python" experiments/run.py "$figure" --scale "$scale" --draw) || { echo ${alone@Q}; exit 1; }")
printf '%s runs of %s: job array %s; the picture: job %s, %s\n' "$places" "$figure" "$array" "$draw" "${figure}_draw-${draw%%;*}.out"
printf 'one of them alone: %s\n' "$alone"
