"""How a tape gets to who is to have it: one file a channel.

A channel delivers a parcel whole, or raises. Which parcel goes where, and that it goes once, is kept in the register;
when, the sensors say.
"""

from lending_pipelines.delivery.email import EmailChannel, check_address
from lending_pipelines.delivery.mail_server import MailServer
from lending_pipelines.delivery.parcel import DeliveryError, Parcel, ParcelFile, UncertainDelivery
from lending_pipelines.delivery.place import PlaceChannel, check_place

__all__ = [
    "DeliveryError",
    "EmailChannel",
    "MailServer",
    "Parcel",
    "ParcelFile",
    "PlaceChannel",
    "UncertainDelivery",
    "check_address",
    "check_place",
]
