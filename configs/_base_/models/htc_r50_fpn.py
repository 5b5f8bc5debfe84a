"""mmdet's Hybrid Task Cascade R50-FPN without its semantic branch, which would need stuff maps."""
_base_ = './cascade-mask-rcnn_r50_fpn.py'

load_from = 'mmdet://htc_r50_fpn_1x_coco'
model = dict(
    type='HybridTaskCascade',
    roi_head=dict(
        type='CroppedHTCRoIHead',
        interleaved=True,
        mask_info_flow=True,
        mask_head=[
            dict(type='CroppedHTCMaskHead', with_conv_res=stage > 0, num_convs=4, in_channels=256,
                 conv_out_channels=256, num_classes=3,
                 loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))
            for stage in range(3)]))
