"""A render job from submission to the finished file: plan, claims, units, assembly."""
