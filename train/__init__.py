"""Training and evaluation, thin over TRL and lm-eval. Of curation it imports records, render, models and endpoint only."""
