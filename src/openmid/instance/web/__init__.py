"""The pages: forms and lists, Workflow Studio, Execution Details."""
