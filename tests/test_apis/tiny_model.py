"""A detector of a few thousand random weights, saved as a run saves it, that finds something."""
import torch
from mmdet.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmsart.apis.config import load_config
from mmsart.datasets.classes import CLASSES, PALETTE

CONFIG = 'configs/demo/maskrcnn_r18_two_stage.py'
MODEL = [
    'model.backbone.base_channels=8', 'model.neck.in_channels=[8,16,32,64]',
    'model.neck.out_channels=16', 'model.rpn_head.in_channels=16',
    'model.rpn_head.feat_channels=16', 'model.roi_head.bbox_roi_extractor.out_channels=16',
    'model.roi_head.mask_roi_extractor.out_channels=16', 'model.roi_head.bbox_head.in_channels=16',
    'model.roi_head.bbox_head.fc_out_channels=16', 'model.roi_head.mask_head.in_channels=16',
    'model.roi_head.mask_head.conv_out_channels=16', 'model.test_cfg.rcnn.score_thr=0.0',
    'val_evaluator.postprocess.score_thr=0.0', 'val_dataloader.num_workers=0']
SMALL = [*MODEL, 'model.test_cfg.rcnn.max_per_img=60', 'val_evaluator.postprocess.min_area=4']


def write_checkpoint(path, *options, seed=0):
    """Save the model of CONFIG with random weights; return its config."""
    init_default_scope('mmdet')
    cfg = load_config(CONFIG, [*SMALL, *options])
    torch.manual_seed(seed)
    model = MODELS.build(cfg.model)
    MMLogger.get_current_instance().setLevel('WARNING')
    model.init_weights()
    with torch.no_grad():  # random heads are of one mind about everything
        model.roi_head.bbox_head.fc_cls.weight.mul_(60)
        model.roi_head.mask_head.conv_logits.weight.mul_(30)
        for weight in model.parameters():  # as half precision keeps them
            weight.copy_(weight.half())
    torch.save({'state_dict': model.state_dict(), 'meta': {
        'cfg': cfg.pretty_text, 'mmengine_version': '0',
        'dataset_meta': {'classes': CLASSES, 'palette': PALETTE}}}, path)
    return cfg
