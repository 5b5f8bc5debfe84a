"""The laptop model learns from the images without labels too: mmdet's SoftTeacher, with masks.

python tools/train.py configs/sartorius/soft_teacher_lite.py \
  --cfg-options load_from=$(cat work_dirs/maskrcnn_lite_cpu/last_checkpoint)

It goes on from a trained maskrcnn_lite_cpu.py: teacher and student begin as that model. From
nothing a teacher would find nothing for long. A test asks the teacher. Not trained yet: thresholds
and weights are guesses.
"""
_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn_lite.py',
    '../_base_/datasets/sartorius_semi_crops.py',
    '../_base_/schedules/crops_teacher.py',
    '../_base_/cpu_runtime.py',
]

detector = _base_.model
model = dict(
    _delete_=True, type='MaskSoftTeacher', detector=detector,
    data_preprocessor=dict(
        type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor),
    semi_train_cfg=dict(
        freeze_teacher=True, sup_weight=1.0, unsup_weight=1.0,
        pseudo_label_initial_score_thr=0.3, rpn_pseudo_thr=0.5, cls_pseudo_thr=0.5,
        reg_pseudo_thr=0.05, jitter_times=10, jitter_scale=0.06, min_pseudo_bbox_wh=(3, 3)),
    semi_test_cfg=dict(predict_on='teacher'))

parts = ('backbone', 'neck', 'rpn_head', 'roi_head.bbox_head', 'roi_head.mask_head')
custom_hooks = [  # a loss on validation images would need unlabelled ones, too
    *(hook for hook in _base_.custom_hooks
      if hook['type'] not in ('ValLossHook', 'CpuTrainingHook')),
    dict(type='CpuTrainingHook', parts=[f'student.{part}' for part in parts]),
    dict(type='MeanTeacherHook', momentum=0.001, skip_buffer=False),
]
