"""The report of a run: static pages that a browser opens from any disk or web server.

This file imports nothing heavy.
"""
