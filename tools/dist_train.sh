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

# Alone, a machine finds a free port itself, so that two jobs get along.
rendezvous=(--standalone)
if [ "${NNODES:-1}" -gt 1 ] || [ -n "${PORT:-}" ]; then
    rendezvous=(--nnodes "${NNODES:-1}" --node-rank "${NODE_RANK:-0}"
                --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${PORT:-29500}")
fi

"${PYTHON:-python}" -m torch.distributed.run "${rendezvous[@]}" --nproc-per-node "$gpus" \
    "$(dirname "$(readlink -f "$0")")/train.py" "$config" --launcher pytorch "$@"
code=$?
if [ $code -ne 0 ]; then
    echo "error: a process of the training ended with an error (see above), the others were" \
        "stopped. After mending it, go on with: $0 $config $gpus $* --resume" >&2
fi
exit $code
