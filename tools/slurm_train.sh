#!/usr/bin/env bash
# Train under Slurm, with one task a node that starts a process for each of its GPUs:
#   [NNODES=1 GPUS_PER_NODE=8 CPUS_PER_TASK=40 SRUN_ARGS=...] \
#       tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]
if [ $# -lt 3 ]; then
    echo 'usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [options of tools/train.py]' >&2
    exit 2
fi
partition=$1
job=$2
config=$3
shift 3
nodes=${NNODES:-1}
gpus=${GPUS_PER_NODE:-8}
dist_train=$(dirname "$(readlink -f "$0")")/dist_train.sh

# What the task needs to know of its node is set inside it; kill-on-bad-exit ends all nodes when
# one fails.
# shellcheck disable=SC2016,SC2086
exec srun --partition="$partition" --job-name="$job" --nodes="$nodes" --ntasks="$nodes" \
    --ntasks-per-node=1 --gres=gpu:"$gpus" --cpus-per-task="${CPUS_PER_TASK:-$((5 * gpus))}" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} bash -c '
        export NNODES=$SLURM_NNODES NODE_RANK=$SLURM_NODEID
        export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
        export PORT=$((20000 + SLURM_JOB_ID % 20000))
        exec bash "$@"' slurm "$dist_train" "$config" "$gpus" "$@"
