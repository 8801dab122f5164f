"""Report books and streams of rows as files: one module per format, one way to write a file to its location.

Reports are defined in reports/, destinations in delivery/. Formats of rows take a Sheet, so a small table of a report
and a tape of a million loans look the same; PDF takes the whole book to lay it out.
"""
