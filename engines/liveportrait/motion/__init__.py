"""Implicit keypoints of faces: crops, drivers, retargeting rules, templates and idling."""
