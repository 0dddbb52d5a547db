"""Images with faces for tests of face tracking, and measures of how closely an engine follows its driver."""
