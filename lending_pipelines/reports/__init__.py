"""Reports: what a report is (book), how one is found (registry), and what several report types share.

The report types are in types/, one module each: nothing else is edited to add one. Reports read lake tables
and print them: a number that a lake table holds is never computed here again, and no file is written here.
"""
