"""DynamoDB and S3 on one machine: moto's server in a process of its own, whose state survives a restart."""
