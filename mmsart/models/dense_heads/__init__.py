"""Dense heads that suit small cells and box-local masks."""
from mmsart.models.dense_heads.coarse_rpn_head import CoarseRPNHead
from mmsart.models.dense_heads.cropped_mask2former_head import CroppedMask2FormerHead
from mmsart.models.dense_heads.cropped_rtmdet_ins_head import CroppedRTMDetInsSepBNHead
from mmsart.models.dense_heads.cropped_solov2_head import CroppedSOLOV2Head

__all__ = ['CoarseRPNHead', 'CroppedMask2FormerHead', 'CroppedRTMDetInsSepBNHead',
           'CroppedSOLOV2Head']
