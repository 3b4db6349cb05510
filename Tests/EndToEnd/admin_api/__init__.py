"""The admin API against its own OpenAPI document, over a master and a worker that run."""
