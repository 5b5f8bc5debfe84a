#!/usr/bin/env bash
# Make a model of the package from nothing:
#   SARTORIUS_ROOT=... PHASE_CONTRAST_ROOT=... \
#     tools/train_zoo_model.sh cascade_mobilenetv2 OUT [KEY=VALUE ...]
# 1. pre-training, 2. training on four of five fields of view, its test and tuning: the score and the
# thresholds, 3. training on everything: the weights, 4. the folder OUT/NAME with its card. Started
# again, it goes on where it was.
# What the card says, its score too, is copied from the file FACTS, by default
# configs/sartorius/NAME.facts.json with the figures of the package's own run; those that the tuner
# prints are to be written into one by hand, before the export.
# KEY=VALUE are --cfg-options of the three trainings and the test; a run with some, or on other data,
# needs FACTS of its own. PYTHON names another interpreter than `python`.
set -eu
if [ $# -lt 2 ]; then
    echo 'usage: tools/train_zoo_model.sh NAME OUT [KEY=VALUE ...]' \
        '   (NAME as in configs/sartorius/NAME.py)' >&2
    exit 2
fi
name=$1
out=$2
given=()
if [ $# -gt 2 ]; then given=(--cfg-options "${@:3}"); fi
root=$(dirname "$(dirname "$(readlink -f "$0")")")
config=$root/configs/sartorius/$name.py
facts=${FACTS:-${config%.py}.facts.json}
python=${PYTHON:-python}
for needed in "$config" "${config%.py}_pretrain.py" "$facts"; do
    if [ ! -f "$needed" ]; then
        echo "train_zoo_model.sh: $needed: no such file, expected the recipe of $name" >&2
        exit 2
    fi
done

if [ $# -gt 2 ] && [ -z "${FACTS:-}" ]; then
    echo "train_zoo_model.sh: $3: found options and no FACTS, expected FACTS=FILE.json with the" \
        "figures of such a run: $facts has those of the run without" >&2
    exit 2
fi

train() {  # CONFIG WORK_DIR [options]: begun, gone on with, or done already
    if [ ! -e "$2/done" ]; then
        local resume=()
        if [ -e "$2/last_checkpoint" ]; then resume=(--resume); fi
        "$python" "$root/tools/train.py" "$1" --work-dir "$2" ${resume[@]+"${resume[@]}"} \
            ${given[@]+"${given[@]}"} "${@:3}"
        touch "$2/done"
    fi
}

train "${config%.py}_pretrain.py" "$out/pretrain"
pretrained=load_from=$(cat "$out/pretrain/last_checkpoint")
train "$config" "$out/holdout" --cfg-options "$pretrained"
if [ ! -e "$out/postprocess.json" ]; then
    "$python" "$root/tools/test.py" "$config" "$out/holdout" --out "$out/predictions.pkl" \
        ${given[@]+"${given[@]}"}
    "$python" "$root/tools/tune_postprocess.py" "$root/configs/_base_/datasets/sartorius_native.py" \
        "$out/predictions.pkl" --out "$out/postprocess.json"
fi
train "$config" "$out/all" --cfg-options "$pretrained" train_dataloader.dataset.datasets.0.subset=all
"$python" "$root/tools/model_converters/export_to_zoo.py" "$out/all" "$out/$name" \
    --facts "$facts" --postprocess "$out/postprocess.json"
