/** What this program asks the gateway: `npm run codegen` checks each document against the schema and types it. */
import { graphql } from "./gql/index.js";

export const CreateWorkspace = graphql(`
  mutation CreateWorkspace($input: CreateWorkspaceInput!) {
    createWorkspace(input: $input) {
      workspace { id name }
    }
  }
`);

export const CreateFunction = graphql(`
  mutation CreateFunction($input: CreateFunctionInput!) {
    createFunction(input: $input) {
      function { id name }
    }
  }
`);

export const DeployFunction = graphql(`
  mutation DeployFunction($input: DeployFunctionInput!) {
    deployFunction(input: $input) {
      build { id }
    }
  }
`);

/** A source that is built without being deployed; its file is sent along. */
export const StartBuild = graphql(`
  mutation StartBuild($input: StartBuildInput!) {
    startBuild(input: $input) {
      build { id appName }
    }
  }
`);

export const BuildProgress = graphql(`
  subscription BuildProgress($id: ID!, $after: Int) {
    buildProgress(id: $id, after: $after) {
      sequence
      status
      build { isFinished error }
    }
  }
`);

export const InvokeFunction = graphql(`
  mutation InvokeFunction($input: InvokeFunctionInput!) {
    invokeFunction(input: $input) {
      executionLog { status statusCode duration responseBody }
    }
  }
`);

/** `logs` comes from Loki: where that does not answer it is null with an error, and the rest is there. */
export const ObserveFunction = graphql(`
  query ObserveFunction($id: ID!) {
    function(id: $id) {
      invocations24h
      errors24h
      logs(first: 20) {
        nodes { timestamp line }
      }
    }
  }
`);

export const FunctionsOfWorkspace = graphql(`
  query FunctionsOfWorkspace($id: ID!, $first: Int!, $after: String) {
    workspace(id: $id) {
      functions(first: $first, after: $after) {
        nodes { id name status }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);
