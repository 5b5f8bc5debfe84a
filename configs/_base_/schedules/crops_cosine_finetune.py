"""crops_cosine.py for a model that has learned: 200 iterations at a quarter of its rate."""
_base_ = './crops_cosine.py'
iterations = 200
stage = _base_.train_cfg.stages[0]
train_cfg = dict(val_begin=iterations, stages=[{
    **stage, 'max_iters': iterations,
    'optim_wrapper': {**stage['optim_wrapper'], 'optimizer': dict(
        type='AdamW', lr=2e-4, weight_decay=0.02)},
    'param_scheduler': [
        dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=20),
        dict(type='CosineAnnealingLR', eta_min=1e-6, by_epoch=False, begin=20)],
    'ema': dict(type='ExpMomentumEMA', momentum=1e-2)}])
