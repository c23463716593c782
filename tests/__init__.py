"""The tests. They mirror the package; `journeys` has whole exchanges, `shape` the rules about the code itself."""
