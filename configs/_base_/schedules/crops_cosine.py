"""Everything learns from the first crop on: AdamW, a warm-up, a cosine to rest, averaged weights.

For batches of 4 crops of 448 x 448 pixels. ExpMomentumEMA lets its averages follow closely for the
first 2,000 iterations (`gamma`): at the end of this stage they are 2 iterations old on average.
"""
iterations = 2250
train_cfg = dict(
    type='StagedTrainLoop',
    val_begin=iterations,
    stages=[dict(
        name='all',
        max_iters=iterations,
        optim_wrapper=dict(
            type='OptimWrapper', optimizer=dict(type='AdamW', lr=8e-4, weight_decay=0.02),
            paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.5))),
            clip_grad=dict(max_norm=10)),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
            dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=100)],
        ema=dict(type='ExpMomentumEMA', momentum=2e-3))])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=4)
