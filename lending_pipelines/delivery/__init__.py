"""Channels that deliver tapes and notifications: one file per channel.

A channel delivers all files of a parcel, or raises. A folder, S3 and SFTP are one channel (place.py); places/ writes
the files. The register records destinations and ensures that each gets a tape once; the sensors decide when.
"""

from lending_pipelines.delivery.email import EmailChannel, check_address
from lending_pipelines.delivery.mail_server import MailServer
from lending_pipelines.delivery.parcel import DeliveryError, Parcel, ParcelFile, UncertainDelivery
from lending_pipelines.delivery.place import PlaceChannel, check_place
from lending_pipelines.delivery.webhook import Webhook

__all__ = [
    "DeliveryError",
    "EmailChannel",
    "MailServer",
    "Parcel",
    "ParcelFile",
    "PlaceChannel",
    "UncertainDelivery",
    "Webhook",
    "check_address",
    "check_place",
]
