"""torchvision's Mask R-CNN, versions 1 and 2, under mmdet's names."""
from mmsart.weights.renaming import Renamer, StateDict, background_to_end

# torchvision 0.14 wrapped single convolutions in blocks and kept a reader for its older files;
# `(?:0\.)?` and the two forms of the mask head's names stand for that.
BACKBONE = [(r'backbone\.body\.(.*)', r'backbone.\1')]
RPN = [
    (r'rpn\.head\.cls_logits\.(\w+)', r'rpn_head.rpn_cls.\1'),
    (r'rpn\.head\.bbox_pred\.(\w+)', r'rpn_head.rpn_reg.\1')]
PREDICTORS = [
    (r'roi_heads\.box_predictor\.cls_score\.(\w+)', r'roi_head.bbox_head.fc_cls.\1'),
    (r'roi_heads\.box_predictor\.bbox_pred\.(\w+)', r'roi_head.bbox_head.fc_reg.\1'),
    (r'roi_heads\.mask_predictor\.conv5_mask\.(\w+)', r'roi_head.mask_head.upsample.\1'),
    (r'roi_heads\.mask_predictor\.mask_fcn_logits\.(\w+)', r'roi_head.mask_head.conv_logits.\1')]

V1 = Renamer([
    *BACKBONE, *RPN, *PREDICTORS,
    (r'backbone\.fpn\.inner_blocks\.(\d)\.(?:0\.)?(\w+)', r'neck.lateral_convs.\1.conv.\2'),
    (r'backbone\.fpn\.layer_blocks\.(\d)\.(?:0\.)?(\w+)', r'neck.fpn_convs.\1.conv.\2'),
    (r'rpn\.head\.conv\.(?:0\.0\.)?(\w+)', r'rpn_head.rpn_conv.\1'),
    (r'roi_heads\.box_head\.fc6\.(\w+)', r'roi_head.bbox_head.shared_fcs.0.\1'),
    (r'roi_heads\.box_head\.fc7\.(\w+)', r'roi_head.bbox_head.shared_fcs.1.\1'),
    *((rf'roi_heads\.mask_head\.(?:mask_fcn{number + 1}|{number}\.0)\.(\w+)',
       rf'roi_head.mask_head.convs.{number}.conv.\1') for number in range(4))])

V2 = Renamer([
    *BACKBONE, *RPN, *PREDICTORS,
    (r'backbone\.fpn\.inner_blocks\.(\d)\.0\.(\w+)', r'neck.lateral_convs.\1.conv.\2'),
    (r'backbone\.fpn\.inner_blocks\.(\d)\.1\.(\w+)', r'neck.lateral_convs.\1.bn.\2'),
    (r'backbone\.fpn\.layer_blocks\.(\d)\.0\.(\w+)', r'neck.fpn_convs.\1.conv.\2'),
    (r'backbone\.fpn\.layer_blocks\.(\d)\.1\.(\w+)', r'neck.fpn_convs.\1.bn.\2'),
    (r'rpn\.head\.conv\.(\d)\.0\.(\w+)', r'rpn_head.rpn_conv.\1.conv.\2'),
    (r'roi_heads\.box_head\.(\d)\.0\.(\w+)', r'roi_head.bbox_head.shared_convs.\1.conv.\2'),
    (r'roi_heads\.box_head\.(\d)\.1\.(\w+)', r'roi_head.bbox_head.shared_convs.\1.bn.\2'),
    (r'roi_heads\.box_head\.5\.(\w+)', r'roi_head.bbox_head.shared_fcs.0.\1'),
    (r'roi_heads\.mask_head\.(\d)\.0\.(\w+)', r'roi_head.mask_head.convs.\1.conv.\2'),
    (r'roi_heads\.mask_head\.(\d)\.1\.(\w+)', r'roi_head.mask_head.convs.\1.bn.\2')])


def import_torchvision_v1(source: StateDict) -> tuple[StateDict, list[str]]:
    """Name `maskrcnn_resnet50_fpn` as mmdet does, background last.

    Args:
        source: its state dict, written by any torchvision since 0.3; fine-tuned ones too.

    Returns:
        The weights, and the names without a place in mmdet.
    """
    weights, unknown = V1.rename(source)
    return background_to_end(weights), unknown


def import_torchvision_v2(source: StateDict) -> tuple[StateDict, list[str]]:
    """Name `maskrcnn_resnet50_fpn_v2` as mmdet does, background last."""
    weights, unknown = V2.rename(source)
    return background_to_end(weights), unknown
