"""The statements of the media page, P01 to P26, as those see them who send and those who receive: one test reads like one statement.

Whoever looks for edges and damage finds them in the folders of the rooms. docs/reference/media-page.md names the test of each statement.
"""
