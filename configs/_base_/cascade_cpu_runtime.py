"""cpu_runtime.py for a detector with two box stages."""
_base_ = './default_runtime.py'
custom_hooks = [*_base_.custom_hooks, dict(
    type='CpuTrainingHook', parts=('backbone', 'neck', 'rpn_head', 'roi_head.bbox_heads.0',
                                   'roi_head.bbox_heads.1', 'roi_head.mask_head'))]
