"""What benchmarks share: a running channel, a browser, a LiveKit subscriber, stopwatches."""
