"""The three pages as GraphQL documents."""

LANDING = """query Landing {
  workspaces(first: 50) {
    nodes { id name description createdAt functionCount invocations24h errors24h errorRate }
    pageInfo { hasNextPage }
  }
}"""
DASHBOARD = """query Dashboard($id: ID!) {
  workspace(id: $id) {
    id name description createdAt functionCount invocations24h errors24h errorRate
    functions(first: 50) {
      totalCount
      nodes {
        id name description runtime memory timeout httpMethods status invocationUrl lastModified
        invocations24h errors24h errorRate avgDuration
      }
      pageInfo { hasNextPage }
    }
    executionLogs(first: 50) { nodes { id functionId timestamp status duration statusCode level } }
    builds(first: 50) { nodes { id kind status appName createdAt updatedAt } }
  }
}"""
FUNCTION = """query Function($id: ID!) {
  function(id: $id) {
    id name description runtime memory timeout httpMethods status invocationUrl lastModified
    environmentVariables { name value }
    invocations24h errors24h errorRate avgDuration
    executionLogs(first: 100) {
      nodes { id timestamp status duration statusCode requestBody responseBody logs level }
    }
    logs(first: 100) { nodes { timestamp line level labels { name value } } }
    metrics(window: 3600) {
      cpu { unit current average peak points { timestamp value } }
      memory { unit current average peak points { timestamp value } }
      replicas { unit current average peak points { timestamp value } }
    }
  }
}"""
WORKSPACE_ID = "ws-bench000"
FUNCTION_ID = "fn-bench000"

PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "landing": (LANDING, {}),
    "dashboard": (DASHBOARD, {"id": WORKSPACE_ID}),
    "function": (FUNCTION, {"id": FUNCTION_ID}),
}
"""The pages of the console, each with its variables."""
