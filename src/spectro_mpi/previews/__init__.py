"""Thumbnails and values of each item for the report page, written with its figures."""
