"""4,000 iterations of a student on crops; its teacher follows as a running average."""
train_cfg = dict(
    type='StagedTrainLoop',
    val_begin=4000,
    stages=[
        dict(
            name='student',
            max_iters=4000,
            frozen=['teacher'],
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.01),
                clip_grad=dict(max_norm=10)),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
                dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=100)]),
    ])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=4)
