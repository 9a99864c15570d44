"""Sessions for reading: a static site, a live one on 127.0.0.1, a transcript in markdown.

What is shown was written by agents, so it is hostile: only `markdown.py` and `patch.py` make markup of it, only
templates with autoescape put it into a page, and every page carries a policy under which nothing but its
own hashed style and script is in force.
"""
