"""A schedule for crops on a CPU: the new parts first, then everything, down to rest.

7,000 iterations of 4 crops; an epoch of 336 images, four fifths of 420, has 84.
"""
train_cfg = dict(
    type='StagedTrainLoop',
    val_begin=7000,  # a validation of whole images with flips takes minutes: only the last
    stages=[
        dict(
            name='new',
            max_iters=100,
            trainable=['(?!backbone)'],
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
                clip_grad=dict(max_norm=10)),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100)]),
        dict(
            name='all',
            max_iters=6900,
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=6e-4, weight_decay=0.01),
                paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.5))),
                clip_grad=dict(max_norm=10)),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=100),
                dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=100)],
            ema=dict(type='ExpMomentumEMA', momentum=1e-3)),
    ])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=4)
