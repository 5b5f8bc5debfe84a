"""What tools/tune_postprocess.py found for this network, rounded."""
tuned_postprocess = dict(
    vote='relabel', vote_min_score=0.2,
    score_thr=dict(shsy5y=0.23, astro=0.25, cort=0.54),
    mask_thr=dict(shsy5y=0.4, astro=0.45, cort=0.4),
    fill_holes=dict(shsy5y=False, astro=True, cort=False),
    largest_component=True,
    min_area=dict(shsy5y=0, astro=160, cort=0),
    nms_iou_thr=dict(shsy5y=0.92, astro=0.1, cort=0.96), remove_overlap=True,
    max_lost_share=dict(shsy5y=0.32, astro=0.72, cort=0.12),
    pieces=dict(shsy5y='keep', astro='largest', cort='keep'))
