"""What is raised for a setting that cannot be used."""


class SettingsError(Exception):
    """A setting cannot be used; the text says which, where it was set and what to do."""
