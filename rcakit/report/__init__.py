"""The report people share: a notebook executed by papermill and rendered to one HTML file.

Needs `pip install 'rcakit[lab]'`; `runs.execute` is the way in, `sections` is what the notebook's cells call.
"""
