"""What mosquitto 2.0.11 is known to do otherwise than the tests ask, and why the tests ask for it all the same."""

DIFFERENCES = {
}
