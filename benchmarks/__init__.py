"""Benchmarks: the cost of the project compared with alternatives, as ratios from one run.

Each benchmark is a module with a `run` function. The test suite does not run them.
"""
