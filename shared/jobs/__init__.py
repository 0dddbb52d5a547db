"""Jobs: offline renders, stored as files that submitters, workers and the console share."""
