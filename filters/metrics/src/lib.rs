//! What happened: counters and histograms.
