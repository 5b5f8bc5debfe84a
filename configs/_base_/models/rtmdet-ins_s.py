"""mmdet's RTMDet-Ins-s, of one stage and without anchors, for up to 790 cells per image."""
_base_ = []  # tells mmengine that this file may import
from mmengine.hub import get_config

load_from = 'mmdet://rtmdet-ins_s_8xb32-300e_coco'
norm_cfg = dict(type='BN')  # not SyncBN, which wants GPUs; dist_train.sh keeps its statistics equal
model = get_config('mmdet::rtmdet/rtmdet-ins_s_8xb32-300e_coco.py').model
model.data_preprocessor.update(pad_mask=True, pad_size_divisor=32)
model.backbone.update(norm_cfg=norm_cfg, init_cfg=None)  # `load_from` brings it
model.neck.update(norm_cfg=norm_cfg)
model.bbox_head.update(type='CroppedRTMDetInsSepBNHead', num_classes=3, norm_cfg=norm_cfg)
model.test_cfg.update(nms_pre=4000, max_per_img=1000)
