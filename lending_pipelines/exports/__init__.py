"""Report books and streams of rows as files: one module per format, one way to put a file in its place.

Reports are defined in reports/, destinations in delivery/. Formats of rows take a Sheet, so a small table of a report
and a tape of a million loans look the same; PDF takes the whole book to lay it out.
"""
