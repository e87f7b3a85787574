"""Jan's figures: each measured against a reference in the same run, and held to a threshold.

`python -m tests.benchmarks` runs them all; names run some; `--quick` takes three pairs instead of ten or more.
"""
