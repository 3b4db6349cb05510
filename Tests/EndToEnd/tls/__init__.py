"""TLS of a worker's listeners, seen by OpenSSL, curl, Python, mosquitto's clients and paho."""
