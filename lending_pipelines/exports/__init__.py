"""Report books and streams of rows as files: one module per format, one way to put a file in its place.

What a report says belongs in reports/, where a file is sent in delivery. Formats of rows take a Sheet, so that a small
table of a book and a tape of a million loans come out alike; PDF takes the book, because it is laid out as a whole.
"""
