#!/usr/bin/env bash
# Train on several GPUs, or in several processes on a machine without one:
#   tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# Several machines: the same line on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# PYTHON names another interpreter than `python`.
if [ $# -lt 2 ]; then
    echo 'usage: tools/dist_train.sh CONFIG GPUS [options of tools/train.py]' >&2
    exit 2
fi
config=$1
gpus=$2
shift 2
if ! [[ $gpus =~ ^[1-9][0-9]*$ ]]; then
    echo "error: GPUS: found '$gpus', expected a number of processes, at least 1" >&2
    exit 2
fi

# Alone, a machine finds a free port itself, so that two jobs get along.
rendezvous=(--standalone)
if [ "${NNODES:-1}" -gt 1 ] || [ -n "${PORT:-}" ]; then
    rendezvous=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
                --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi

# What a stopped training is resumed by. --overwrite and --resume exclude each other.
kept=()
for option in "$@"; do
    [ "$option" = --overwrite ] || kept+=("$option")
done
printf -v again '%q ' "$0" "$config" "$gpus" "${kept[@]}" --resume

tools=$(dirname "$(readlink -f "$0")")
exec "${PYTHON:-python}" "$tools/dist_launch.py" "${again% }" \
    "${rendezvous[@]}" --nproc-per-node "$gpus" \
    "$tools/train.py" "$config" --launcher pytorch "$@"
