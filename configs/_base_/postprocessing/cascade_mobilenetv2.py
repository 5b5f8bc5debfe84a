"""What tools/tune_postprocess.py found for this network, rounded."""
tuned_postprocess = dict(
    vote='relabel', vote_min_score=0.2,
    score_thr=dict(shsy5y=0.23, astro=0.27, cort=0.57),
    mask_thr=dict(shsy5y=0.4, astro=0.4, cort=0.45),
    fill_holes=dict(shsy5y=False, astro=False, cort=False),
    largest_component=dict(shsy5y=True, astro=True, cort=False),
    min_area=dict(shsy5y=2, astro=130, cort=36),
    max_area=dict(shsy5y=1104, astro=6876, cort=1030),
    nms_iou_thr=dict(shsy5y=0.36, astro=0.8, cort=0.75), remove_overlap=True,
    max_lost_share=dict(shsy5y=0.42, astro=0.23, cort=0.52),
    pieces=dict(shsy5y='largest', astro='keep', cort='keep'))
