"""The report: static pages that show a run to people, opened from any disk or web server.

Importing the package loads nothing heavy.
"""
