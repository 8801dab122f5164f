"""Great Expectations in a process of its own: what is sent to it, what it answers, and the pages it writes.

Great Expectations takes seconds to import. Its process starts when a run that validates tables starts, and imports it
while the run computes. Which expectations a table has is decided in checks/; nothing here knows a table.
"""
