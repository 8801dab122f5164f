"""How answers are written: pages, charts, numbers, files, errors, forms, static files.

What an answer says is decided in routes/, views/ and queries/.
"""
