"""Sessions for reading: a static site, a live one on 127.0.0.1, a transcript in markdown.

What is shown was written by agents, so it is hostile: only `markdown.py` turns it into markup, all else (templates,
charts, times) escapes it, and every page carries a policy under which only its own hashed style and script run.
"""
