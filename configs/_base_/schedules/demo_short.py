"""An epoch of the predictors, then 8 of everything; 96 images are 24 iterations per epoch."""
train_cfg = dict(
    type='StagedTrainLoop',
    val_begin=3,
    val_interval=4,
    stages=[
        dict(
            name='predictors',
            max_epochs=1,
            trainable=[r'roi_head\.bbox_head\.fc_(cls|reg)\.',
                       r'roi_head\.mask_head\.(upsample|conv_logits)\.'],
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-2, momentum=0.9),
                clip_grad=dict(max_norm=10))),
        dict(
            name='all',
            max_epochs=8,
            optim_wrapper=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01),
                clip_grad=dict(max_norm=10)),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
                dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False)]),
    ])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=4)
