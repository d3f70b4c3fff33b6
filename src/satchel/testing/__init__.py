"""A whole node and simulated phones for the tests of an integration: a pytest plugin. It knows the node through `client` alone.

`plugin.py` has the fixtures and imports pytest only; the rest is imported when a fixture is used.
"""
