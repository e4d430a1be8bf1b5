"""One thin file per DVC stage: read, one library call, write. `cli.py` is the `curation` command."""
