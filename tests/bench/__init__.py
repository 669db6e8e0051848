"""`make bench`: how fast Tickerlake is, as ratios to named baselines that are measured in the same run."""
