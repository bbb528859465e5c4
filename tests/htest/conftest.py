"""Fixtures of the H-Test tests that live in modules of their own."""

from tests.helpers.local_server import local_server

__all__ = ["local_server"]
