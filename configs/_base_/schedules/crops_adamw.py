"""4,000 iterations of AdamW on crops: 200 of warm-up (5 %), then down in a line to zero."""
train_cfg = dict(
    type='StagedTrainLoop',
    val_begin=1000,
    stages=[
        dict(
            name='all',
            max_iters=4000,
            val_interval=1000,
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.01),
                clip_grad=dict(max_norm=10)),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.005, by_epoch=False, begin=0, end=200),
                dict(type='LinearLR', start_factor=1.0, end_factor=0.0, by_epoch=False,
                     begin=200, end=4000)])])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=4)
