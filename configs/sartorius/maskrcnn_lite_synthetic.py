"""Pre-training of maskrcnn_lite_cpu.py on endless generated crops.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/maskrcnn_lite_synthetic.py

Then train maskrcnn_lite_cpu.py with --cfg-options load_from=CHECKPOINT. In equal time, 8 min 48 s
on one core, it gave a mix-weighted mAP of .210 instead of .206 on 28 real images, which is no more
than chance (docs/attempts.md).
"""
_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn_lite.py',
    '../_base_/datasets/synthetic_pretrain.py',
    '../_base_/schedules/crops_cpu.py',
    '../_base_/cpu_runtime.py',
]

# An epoch has a million images: everything counts iterations.
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=500))
log_processor = dict(by_epoch=False)
