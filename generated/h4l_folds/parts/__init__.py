"""Ordinary modules: what decides numbers, or shows them."""
