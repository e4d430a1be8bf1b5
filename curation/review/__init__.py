"""What people decide about rows: the files in data/review, read with one clear line for each fault."""
