"""Processing of a render job from its submission to the finished file: plan, units, assembly."""
