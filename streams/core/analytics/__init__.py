"""Rows for analysis from records of the log: pure, and the same rows for the same log."""
