"""Tests of the simulated network, over loopback, with real files, real SQLite and real processes."""
