"""Paper 1: who starts from whom, and what does it save?"""
