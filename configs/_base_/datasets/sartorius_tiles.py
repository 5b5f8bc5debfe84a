"""Each image in 4 x 4 overlapping tiles, enlarged to between 800 and 1333 pixels, for training.

An epoch sees as many tiles as there are. A cell stays if more than a quarter of it is in the tile.
"""
_base_ = './sartorius_native.py'

tile_size = (208, 281)
train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='RandomTile', tile_size=tile_size, counts=(4, 4), min_visible=0.25),
    dict(type='RandomResize', scale=[(800, 800), (1333, 1333)], keep_ratio=True),
    *_base_.train_pipeline[2:-1],
    dict(type='RandomTranspose'),
    _base_.train_pipeline[-1],
]
# As the training sees them: one tile of each image, drawn anew each time.
val_loss_pipeline = [
    *_base_.val_loss_pipeline[:2],
    train_pipeline[2],
    dict(type='Resize', scale=(1066, 1066), keep_ratio=True),
    _base_.val_loss_pipeline[-1],
]
train_dataloader = dict(dataset=dict(
    _delete_=True, type='RepeatDataset', times=16,
    dataset={**_base_.train_dataloader.dataset, 'pipeline': train_pipeline}))
