"""Satchel: the media node for integrations written against the On-Premises API."""

__version__ = "0.1.0"
