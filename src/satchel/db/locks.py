"""Keys of `Tx.lock`, together so that no two are the same. Those that bytes have besides (`media.lock_bytes`) are far larger as a rule."""

SCHEMA = 7_282_435
"""Migrations."""
APPLICATION = 7_282_436
"""Changes of the application settings."""
ROOM = 7_282_437
"""Claims of lanes of which only so many may be leased over all hosts."""
VOLUME_LEVEL = 7_282_438
"""Telling how full the volume is."""
NIGHTLY_GC = 7_282_440
"""Asking for the runs of gc that are due each night."""
