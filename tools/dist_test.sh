#!/usr/bin/env bash
# Test on several GPUs, or in several processes on a machine without one:
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# Several machines: the same line on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
if [ $# -lt 3 ]; then
    echo 'usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]' >&2
    exit 2
fi
config=$1
checkpoint=$2
gpus=$3
shift 3
if ! [[ $gpus =~ ^[1-9][0-9]*$ ]]; then
    echo "error: GPUS: found '$gpus', expected a number of processes, at least 1" >&2
    exit 2
fi

rendezvous=(--standalone)
if [ "${NNODES:-1}" -gt 1 ] || [ -n "${PORT:-}" ]; then
    rendezvous=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
                --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi

exec "${PYTHON:-python}" -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node "$gpus" \
    "$(dirname "$(readlink -f "$0")")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
