"""What travels between the clients and the schema: frozen, slotted, keyword-only dataclasses.

No I/O and no GraphQL here. Times are aware datetimes, ids are strings that were validated where they came in.
"""
