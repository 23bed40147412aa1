"""10,000 subscriptions to 100 builds, held by one gateway; the clients are in processes beside it.

run.py starts everything and measures; clients.py is such a process, and sockets.py one connection of it.
"""
