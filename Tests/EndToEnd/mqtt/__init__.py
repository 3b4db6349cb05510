"""Conversations in MQTT 3.1.1 and 5.0, run against any broker's address, and the raw client that has them."""
