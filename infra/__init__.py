"""The Pulumi components that `pulumi up` deploys to one AWS account."""
