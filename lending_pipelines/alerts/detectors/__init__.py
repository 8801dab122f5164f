"""The detectors: one file per kind of rule, each with a pure function `detect(source, rules, days)`.

A detector compares numbers that tables have; it computes none of them, keeps no state and reads no clock.
"""
