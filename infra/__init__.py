"""The cloud: what `pulumi up` stands up in one AWS account."""
