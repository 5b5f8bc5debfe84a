"""crops_cosine.py, a fifth as long."""
_base_ = './crops_cosine.py'

iterations = 470
train_cfg = dict(val_begin=iterations,
                 stages=[{**_base_.train_cfg.stages[0], 'max_iters': iterations}])
