"""What benchmarks and tests share: a running channel, a browser, subscribers, stand-in weights, measures of quality."""
