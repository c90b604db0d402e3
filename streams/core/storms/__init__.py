"""Storms: many devices of one place with one condition within a short time are one incident."""
