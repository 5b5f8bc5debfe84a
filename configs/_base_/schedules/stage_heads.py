"""The report's first stage: ten epochs in which only the two new predictors learn, by SGD.

485 training images (80 % of 606) in batches of 2 make an epoch of 243 iterations: the warm-up of
500 iterations lasts for a little over two epochs.
"""
heads = dict(
    name='heads',
    max_epochs=10,
    trainable=[r'roi_head\.bbox_head\.fc_(cls|reg)\.',
               r'roi_head\.mask_head\.(upsample|conv_logits)\.'],
    optim_wrapper=dict(
        type='OptimWrapper',
        # The report gives no momentum and weight decay here; these are those of its SGD runs.
        optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4),
        clip_grad=dict(max_norm=10)),  # "gradient clipping", the bound is ours
    param_scheduler=[
        # min((step + 1) / 500, 1): 1/500 in iteration 0, 250/500 in 249, 1 from 499 on.
        dict(type='LinearLR', start_factor=1 / 500, by_epoch=False, begin=0, end=500)])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(enable=False, base_batch_size=2)
