"""Networks and parts that mmdet lacks."""
