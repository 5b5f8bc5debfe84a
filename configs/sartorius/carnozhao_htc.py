"""The 6th place's single model: HTC Res2Net-101 on 4 x 4 enlarged tiles, without LIVECell.

Source: CarnoZhao, 6th of the competition (Kaggle): private .350 with one model; hardware not told.
Tiles of 208 x 281, enlarged to 800 to 1333 pixels, flips and turns by 90 degrees, SGD .01, 12
epochs. In a test a detection counts if its centre lies in its tile's own part, and a cell falls if
more than a fifth of it is covered or it is torn. Tests enlarge tiles to fit 1066 pixels, the middle
of the training's; the original's size in a test is not told, nor are its score thresholds.

python tools/train.py configs/sartorius/carnozhao_htc.py --amp

Not trained yet.
"""
_base_ = [
    '../_base_/models/htc_r50_fpn.py',
    '../_base_/datasets/sartorius_tiles.py',
    '../_base_/schedules/sgd_12e.py',
    '../_base_/default_runtime.py',
]

load_from = 'mmdet://htc_r2_101_fpn_20e_coco'
model = dict(
    type='TiledHTC', tile_size=_base_.tile_size, tile_counts=(4, 4), tile_scale=(1066, 1066),
    backbone=dict(type='Res2Net', depth=101, scales=4, base_width=26),
    rpn_head=dict(anchor_generator=dict(scales=[8])))  # cells are 60 to 100 pixels wide there
tiles = dict(largest=(520, 704), size=(520, 704))  # prediction cuts larger pictures to this first
postprocess = dict(
    _delete_=True, score_thr=0.3, remove_overlap=True, max_lost_share=0.2, pieces='drop')
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator
