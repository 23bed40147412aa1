"""HTTP that is not GraphQL: health, the invoke route, the explorer."""
