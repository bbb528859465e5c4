"""Figures of paper 1."""
