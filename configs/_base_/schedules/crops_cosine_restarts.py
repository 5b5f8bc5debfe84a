"""crops_cosine.py, begun anew five times at lower rates, each time from the averaged weights."""
_base_ = './crops_cosine.py'
first = _base_.train_cfg.stages[0]
again = {**first, 'optim_wrapper': {**first['optim_wrapper'], 'optimizer': dict(
    type='AdamW', lr=6e-4, weight_decay=0.02)}}
last = {**first, 'optim_wrapper': {**first['optim_wrapper'], 'optimizer': dict(
    type='AdamW', lr=4e-4, weight_decay=0.02)}}
iterations = [_base_.iterations, 1400, 2130, 7700, 1400, 1020]
train_cfg = dict(val_begin=sum(iterations), stages=[
    first, {**again, 'name': 'second', 'max_iters': iterations[1]},
    {**again, 'name': 'third', 'max_iters': iterations[2]},
    {**again, 'name': 'fourth', 'max_iters': iterations[3]},
    {**last, 'name': 'fifth', 'max_iters': iterations[4]},
    {**last, 'name': 'sixth', 'max_iters': iterations[5]}])
