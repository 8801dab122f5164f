"""What the project costs, side by side with what a user would write instead, as ratios from one run.

Each benchmark is a module that can be run; nothing here is part of the test suite.
"""
