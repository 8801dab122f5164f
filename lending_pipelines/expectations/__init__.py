"""Great Expectations in a separate process: its requests, its answers, and the pages that it writes.

Importing Great Expectations takes seconds. A run that validates tables starts the process first, and the process
imports while the run computes. checks/ decides the expectations of each table.
"""
