"""The documents as a site: `python -m sphinx -W -n -c .ci/docs docs OUT`. Links and anchors that are not there fail."""

project = "gitrelay"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "gitrelay"
myst_heading_anchors = 3
myst_enable_extensions: list[str] = []
root_doc = "index"
exclude_patterns = ["ci", "*.1"]
# files of the checkout that a page points to, for who reads it there
suppress_warnings = ["toc.not_included", "myst.header"]
pygments_style = "friendly"
highlight_language = "none"
