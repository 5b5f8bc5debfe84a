"""Detectron2's Mask R-CNN with FPN under mmdet's names."""
from mmsart.weights.renaming import Renamer, StateDict

BOTTOM_UP = r'backbone\.bottom_up\.'
# Detectron2 and mmdet agree on background last, on the order of anchors and on box deltas.
MASK_RCNN_FPN = Renamer([
    (BOTTOM_UP + r'stem\.conv1\.weight', r'backbone.conv1.weight'),
    (BOTTOM_UP + r'stem\.conv1\.norm\.(\w+)', r'backbone.bn1.\1'),
    *((BOTTOM_UP + rf'res{stage + 1}\.(\d+)\.{theirs}', rf'backbone.layer{stage}.\1.{ours}')
      for stage in range(1, 5)
      for theirs, ours in (
          (r'conv(\d)\.weight', r'conv\2.weight'), (r'conv(\d)\.norm\.(\w+)', r'bn\2.\3'),
          (r'shortcut\.weight', r'downsample.0.weight'),
          (r'shortcut\.norm\.(\w+)', r'downsample.1.\2'))),
    *((rf'backbone\.fpn_{theirs}{level + 2}\.(\w+)', rf'neck.{ours}.{level}.conv.\1')
      for level in range(4)
      for theirs, ours in (('lateral', 'lateral_convs'), ('output', 'fpn_convs'))),
    (r'proposal_generator\.rpn_head\.conv\.(\w+)', r'rpn_head.rpn_conv.\1'),
    (r'proposal_generator\.rpn_head\.objectness_logits\.(\w+)', r'rpn_head.rpn_cls.\1'),
    (r'proposal_generator\.rpn_head\.anchor_deltas\.(\w+)', r'rpn_head.rpn_reg.\1'),
    (r'roi_heads\.box_head\.fc1\.(\w+)', r'roi_head.bbox_head.shared_fcs.0.\1'),
    (r'roi_heads\.box_head\.fc2\.(\w+)', r'roi_head.bbox_head.shared_fcs.1.\1'),
    (r'roi_heads\.box_predictor\.cls_score\.(\w+)', r'roi_head.bbox_head.fc_cls.\1'),
    (r'roi_heads\.box_predictor\.bbox_pred\.(\w+)', r'roi_head.bbox_head.fc_reg.\1'),
    *((rf'roi_heads\.mask_head\.mask_fcn{number + 1}\.(\w+)',
       rf'roi_head.mask_head.convs.{number}.conv.\1') for number in range(4)),
    (r'roi_heads\.mask_head\.deconv\.(\w+)', r'roi_head.mask_head.upsample.\1'),
    (r'roi_heads\.mask_head\.predictor\.(\w+)', r'roi_head.mask_head.conv_logits.\1'),
    # Constants that our config variant states itself.
    (r'pixel_mean|pixel_std', ''),
    (r'proposal_generator\.anchor_generator\.cell_anchors\.\d', '')])


def import_detectron2(source: StateDict) -> tuple[StateDict, list[str]]:
    """Name Detectron2's Mask R-CNN (R50, R101 or X101 with FPN) as mmdet does.

    Returns:
        The weights, and the names without a place in mmdet.
    """
    return MASK_RCNN_FPN.rename(source)
