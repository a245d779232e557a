#!/usr/bin/env bash
#SBATCH --job-name=gpt2_large_lawa
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# GPT-2 large as the paper trains it at the high learning rate (2e-3), with LAWA kept inside the run: sbatch slurm/gpt2_large_lawa.sh
# [--nodes=N before the script; after it files and key=value of `lawa train`]. It goes on from the newest checkpoint in run.directory.
#
#   9.18 billion tokens: 70,000 steps of 131,072
#   4.82e+19 floating-point operations, evaluations included
#   4.2 hours on a node of 8 H100 (assumed, not measured: 40 % of 989 TFLOP/s each),
#   615 hours on one of 128 cores (170 GFLOP/s each, measured on two)
#   495 GB of disk: 70 checkpoints of 3.10 GB, 69 averages, 3 states of 21.7 GB
set -e
source "${LAWA_ROOT:-${SLURM_SUBMIT_DIR:?submit this script with sbatch}}/slurm/job.sh"
train_gpt2 large "$@"
