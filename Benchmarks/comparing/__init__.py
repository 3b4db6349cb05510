"""What `compare` is made of: servers, loads, tables, and what is measured."""
