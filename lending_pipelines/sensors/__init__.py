"""What Dagster looks out for: one file a sensor. A sensor fetches, decides by a pure function, and requests runs."""

from lending_pipelines.sensors.report_requests import report_requests

SENSORS = (report_requests,)

__all__ = ["SENSORS", "report_requests"]
