#!/usr/bin/env bash
#SBATCH --job-name=gpt2_small_lawa
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# GPT-2 small as the paper trains it at the high learning rate (6e-3), with LAWA kept inside the run: sbatch slurm/gpt2_small_lawa.sh
# [--nodes=N before the script; after it files and key=value of `lawa train`]. It goes on from the newest checkpoint in run.directory.
#
#   27.53 billion tokens: 70,000 steps of 393,216
#   2.38e+19 floating-point operations, evaluations included
#   2.1 hours on a node of 8 H100 (assumed, not measured: 40 % of 989 TFLOP/s each),
#   304 hours on one of 128 cores (170 GFLOP/s each, measured on two)
#   270 GB of disk: 350 checkpoints of 0.50 GB, 171 averages, 3 states of 3.5 GB
set -e
source "${LAWA_ROOT:-${SLURM_SUBMIT_DIR:?submit this script with sbatch}}/slurm/job.sh"
train_gpt2 small "$@"
