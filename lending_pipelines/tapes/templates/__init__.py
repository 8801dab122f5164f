"""The standards' templates of loan-level data, one TOML file each: which field comes from where, and in which format.

Field codes, names, formats and what may be left without data are the standard's own; tests compare them with it.
"""
