"""The GraphQL gateway of the Blue Functions-as-a-Service platform."""

__version__ = "0.1.0"
