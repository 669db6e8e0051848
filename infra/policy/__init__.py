"""Rules for the deployed resources, beyond what Pulumi's types and AWS's own models check."""
