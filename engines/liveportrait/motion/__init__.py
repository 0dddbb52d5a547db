"""From a face to implicit keypoints: crops, drivers, rules, templates, idling."""
