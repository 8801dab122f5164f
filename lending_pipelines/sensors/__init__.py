"""Dagster sensors: one file per sensor. A sensor reads the register and Dagster's records, and requests runs or
notifies.
"""

from lending_pipelines.sensors.alert_watch import alert_watch
from lending_pipelines.sensors.notifications import email_notifications
from lending_pipelines.sensors.report_requests import report_requests
from lending_pipelines.sensors.run_failures import run_failures
from lending_pipelines.sensors.tape_deliveries import tape_deliveries

SENSORS = (alert_watch, email_notifications, report_requests, run_failures, tape_deliveries)

__all__ = ["SENSORS", "alert_watch", "email_notifications", "report_requests", "run_failures", "tape_deliveries"]
