"""The runs that are kept: found again, compared, thinned out and sent elsewhere. Nothing here needs the lab.

All of it reads the folders that runs leave (`reports/<target>/<run id>/`) and nothing else, so that an index can
always be made again, and a folder that is broken, foreign or from a later version is told and never a crash.
"""
