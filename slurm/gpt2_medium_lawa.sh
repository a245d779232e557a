#!/usr/bin/env bash
#SBATCH --job-name=gpt2_medium_lawa
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# GPT-2 medium as the paper trains it at the high learning rate (3e-3), with LAWA kept inside the run: sbatch slurm/gpt2_medium_lawa.sh
# [--nodes=N before the script; after it files and key=value of `lawa train`]. It goes on from the newest checkpoint in run.directory.
#
#   27.53 billion tokens: 70,000 steps of 393,216
#   6.68e+19 floating-point operations, evaluations included
#   5.9 hours on a node of 8 H100 (assumed, not measured: 40 % of 989 TFLOP/s each),
#   853 hours on one of 128 cores (170 GFLOP/s each, measured on two)
#   227 GB of disk: 70 checkpoints of 1.42 GB, 69 averages, 3 states of 9.9 GB
set -e
source "${LAWA_ROOT:-${SLURM_SUBMIT_DIR:?submit this script with sbatch}}/slurm/job.sh"
train_gpt2 medium "$@"
