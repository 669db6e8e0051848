"""The rules of this project: what Pulumi's types and AWS's own models let pass, and what must not."""
