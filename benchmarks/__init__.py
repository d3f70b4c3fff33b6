"""Benchmarks: the real Webapp beside other servers in the same run. Nothing here is installed; see docs/explanation/performance.md."""
