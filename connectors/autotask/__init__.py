"""Autotask: everything that speaks its REST API, and what its rows and webhooks mean to us."""
