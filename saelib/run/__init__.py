"""What is a run on disk?"""
