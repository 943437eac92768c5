"""Carrying a protocol out: its plan, its checks, its stages."""
