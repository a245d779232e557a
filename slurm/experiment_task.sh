#!/usr/bin/env bash
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.out
#
# One place of a figure's table of runs (a run with its branches): sbatch --array=PLACE slurm/experiment_task.sh FIGURE SCALE PLACES.
# slurm/experiment.sh submits all of them, with as many --ntasks as the runs have ranks.
set -e
source "${LAWA_ROOT:-${SLURM_SUBMIT_DIR:?submit this script with sbatch}}/slurm/job.sh"
stoppable "$python" "$root/experiments/run.py" "$1" --scale "$2" --only "${SLURM_ARRAY_TASK_ID:?sbatch --array=PLACE …}/$3" --jobs 1
