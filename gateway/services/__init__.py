"""Use cases that span systems; what they refuse names the field and the fix, and nothing is left half written."""
