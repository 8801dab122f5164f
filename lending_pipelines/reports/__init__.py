"""Reports: what a report is (book), how one is found (registry), and one module per report type.

A module with a module-level `generator` is a report type; nothing else is edited to add one. Reports read lake tables
and print them: a number that a lake table holds is never computed here again, and no file is written here.
"""
