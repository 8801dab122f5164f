"""The report types, one file each: a module with a module-level `generator`. The registry finds them.

What several types share is in the package above.
"""
