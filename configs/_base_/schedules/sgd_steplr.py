"""Twelve epochs by SGD, the rate a tenth every three: the report's first experiment.

485 training images in batches of 2: 243 iterations per epoch, 2,916 in all. lr 1e-3 in epochs 1-3,
1e-4 in 4-6, 1e-5 in 7-9, 1e-6 in 10-12.
"""
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    # The report gives this lr for its later SGD runs, none for this one.
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type='StepLR', step_size=3, gamma=0.1, by_epoch=True)]
auto_scale_lr = dict(enable=False, base_batch_size=2)
