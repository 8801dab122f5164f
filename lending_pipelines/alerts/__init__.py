"""Alerts: what needs action, for whom, since when, and who was notified.

Rules are data (rules.py), stored in the register. A detector (detectors/, one file per kind) is a pure batch function
of a range of days: tables and rules in, findings out. life.py turns the findings of all days into alerts, and is the
only place that opens, escalates and resolves them. record.py saves both. notices.py decides who is notified of what;
mail.py and outbox.py write and send it.

This package does not use Dagster: assets/alerts.py and sensors/ call it. metrics/ computes numbers; alerts only
compare them. The mail with a report is in report_mail.py, because the outbox sends it too.
"""
