"""GraphQL over HTTP, event streams and WebSockets; what the types are and do is no matter here."""
