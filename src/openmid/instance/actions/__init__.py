"""Actions, their REST steps, and their executions."""
