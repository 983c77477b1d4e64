"""Ready files for DAWs, patchers and surfaces, written from the table of controls, and bridges to DAWs that number their tracks.

`python -m realtime.daws DIR` writes the files; `python -m realtime.daws.ardour` and `python -m realtime.daws.reaper` are
the bridges. docs/daws has a page for each program.
"""
