"""What a person sees on a terminal; on a pipe the verbs print plain text and nothing here is loaded.

Two layers: what is to be seen (`rows`: columns and cells of plain values) and how it is drawn (`table`,
`conversation`, `markdown`), onto a `terminal.Terminal`, which knows width, colours and the pager.
"""
