#!/usr/bin/env bash
#SBATCH --job-name=average
#SBATCH --nodes=1
#SBATCH --ntasks=2
#SBATCH --time=02:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# Averages a run's checkpoints: sbatch slurm/average.sh runs/gpt2_small_lawa destination=runs/averages averaging.window=5, or any other
# words of `lawa average`. Queued again, it leaves what it has made before. Few ranks are enough: it waits for the disk.
# With the window of 5, an average at every checkpoint:
#
#   small: 174 GB read once, 172 GB written and verified: 4.3 minutes at 2 GB/s (assumed)
#   medium: 99 GB read once, 94 GB written and verified: 2.4 minutes at 2 GB/s (assumed)
#   large: 217 GB read once, 204 GB written and verified: 5.2 minutes at 2 GB/s (assumed)
set -e
source "${LAWA_ROOT:-${SLURM_SUBMIT_DIR:?submit this script with sbatch}}/slurm/job.sh"
((${SLURM_RESTART_COUNT:-0} == 0)) || set -- "$@" averaging.skip_existing=true
run_lawa average "$@"
