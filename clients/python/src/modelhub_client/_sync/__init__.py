"""The client. Made by make_sync.py."""
