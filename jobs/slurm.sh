#!/bin/bash
# Trains on the GPUs of several Slurm nodes, a process a GPU; what is preempted or runs out of time goes on by itself.
#
#   sbatch --nodes=4 --ntasks-per-node=8 --gpus-per-node=8 jobs/slurm.sh
#
# Set below, or in the environment: the folders, which all nodes see under one path, and the config.
# `scancel` ends it; the same sbatch command then goes on.
#SBATCH --job-name=heed
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=heed-%j.log
#SBATCH --signal=B:USR1@180

HEED=${HEED:-$HOME/heed}                          # the checkout, with requirements-gpu.txt installed in .venv
DATA=${DATA:-$HEED/runs/timelines}                # written by data.prepare
WORKDIR=${WORKDIR:-$HEED/runs/slurm}              # for checkpoints
CONFIG=${CONFIG:-configs/retrieval.py:standard}
PYTHON=${PYTHON:-$HEED/.venv/bin/python}

cd "$HEED" || exit 2

# Three minutes before its time is over Slurm sends USR1 to this script: the training saves and ends by SIGTERM, and the
# job goes back into the queue. scancel sends it to every process; srun, asked to end, would kill them. A preempted one
# Slurm ends and requeues itself.
out_of_time=
trap 'out_of_time=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

srun --kill-on-bad-exit=0 "$PYTHON" -m retrieval.train --config="$CONFIG" --data="$DATA" --workdir="$WORKDIR" \
  --coordinator=auto &
training=$!
wait "$training"
status=$?
if [ -n "$out_of_time" ]; then
  wait "$training"  # the first wait ended by the signal
  status=$?
  [ "$status" = 0 ] || scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
