"""What every run shares: registration, logs, checkpoints, seeds."""
default_scope = 'mmdet'
runner_type = 'StagedRunner'  # atomic checkpoints, exact resume of stages, gloo without CUDA
custom_imports = dict(imports=['mmsart.registration'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    # The last iteration of an epoch too: curves find the ends of epochs there.
    logger=dict(type='LoggerHook', interval=20, ignore_last=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='AtomicCheckpointHook', interval=1, max_keep_ckpts=2,
        save_best='auto', rule='greater'),  # by the first score of val_evaluator
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='CellVisualizationHook'))

custom_hooks = [
    dict(type='FiniteLossHook'),  # stops at a loss, gradient or weight that is not finite
    dict(type='RunScalarsHook'),  # lr of each part, stage, memory
    dict(type='ValLossHook'),  # needs val_loss_pipeline, which the dataset bases give
    dict(type='CapReportHook'),  # names images of more cells than the model may find
    dict(type='CurvesHook'),
    dict(type='SyncBuffersHook'),  # equal BatchNorm statistics on all ranks
]

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),  # the workers are the parallel part
    dist_cfg=dict(backend='nccl', timeout=1800))
randomness = dict(seed=0)

vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends)
log_processor = dict(type='LogProcessor', window_size=20, by_epoch=True)
log_level = 'INFO'
resume = False
