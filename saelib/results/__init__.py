"""What is a number, how sure, and how is it shown?"""
