"""What tools/tune_postprocess.py found for this network, rounded."""
tuned_postprocess = dict(
    vote='relabel', vote_min_score=0.2,
    score_thr=dict(shsy5y=0.27, astro=0.24, cort=0.55),
    mask_thr=dict(shsy5y=0.45, astro=0.4, cort=0.4),
    fill_holes=dict(shsy5y=False, astro=False, cort=True),
    largest_component=dict(shsy5y=False, astro=True, cort=False),
    min_area=dict(shsy5y=20, astro=121, cort=11),
    max_area=dict(shsy5y=1523, astro=10113, cort=1093),
    nms_iou_thr=dict(shsy5y=0.52, astro=0.8, cort=0.29), remove_overlap=True,
    max_lost_share=dict(shsy5y=0.42, astro=0.23, cort=0.83),
    pieces=dict(shsy5y='largest', astro='keep', cort='keep'))
