import type { CodegenConfig } from "@graphql-codegen/cli";

/** Makes src/gql/ of the schema and the documents in src/: types for the variables and the data of each. */
const config: CodegenConfig = {
  // The schema of this checkout; or of a running gateway, as in SCHEMA=http://127.0.0.1:8000/schema.graphql
  schema: process.env["SCHEMA"] ?? "../../schema/schema.graphql",
  documents: ["src/**/*.ts", "!src/gql/**"],
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: "string", // documents stay text: nothing is parsed in the browser
        enumsAsTypes: true,
        importExtension: ".js",
        useTypeImports: true,
        strictScalars: true,
        scalars: { Base64: "string", DateTime: "string", JSON: "unknown", Upload: "File" },
      },
    },
  },
};

export default config;
