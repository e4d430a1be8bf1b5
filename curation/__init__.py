"""Temper: curation for supervised fine-tuning. Pure functions over polars frames; no params file, no stage paths."""
