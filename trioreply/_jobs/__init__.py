"""Whole jobs: what takes several requests, or goes on after one of them has failed."""
