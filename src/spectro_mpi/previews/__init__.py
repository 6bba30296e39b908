"""Thumbnails and values of an item for the report, made where its figures are drawn."""
