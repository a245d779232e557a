#!/usr/bin/env bash
#SBATCH --job-name=evaluate
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --time=06:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# Validation losses of weights files, one JSON line each in evaluate-JOB.out: sbatch slurm/evaluate.sh runs/averages, or any other words
# of `lawa evaluate`. Which text: as the files were trained, or data.validation=tokens/val.bin.
#
#   small: 5.83e+14 floating-point operations a file on 2.05 million tokens: 27 s on 128 cores
#   medium: 1.65e+15 floating-point operations a file on 2.05 million tokens: 76 s on 128 cores
#   large: 3.55e+15 floating-point operations a file on 2.05 million tokens: 163 s on 128 cores
set -e
source "${LAWA_ROOT:-${SLURM_SUBMIT_DIR:?submit this script with sbatch}}/slurm/job.sh"
run_lawa evaluate "$@"
