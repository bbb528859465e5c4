"""Figures of H-Test."""
