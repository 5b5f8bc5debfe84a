"""From raw detections to the disjoint masks of a submission."""
