"""The unmodified program under the real Pulumi engine: `make test-engine`.

pulumi/            pins the CLI's version and the checksums of every module that it is built from
cli.py             builds the CLI once, and runs its commands on a copy of the project
documented.py      reads the commands of the documents
language_host.py   pulumi-language-python, which starts the program
provider.py        pulumi-resource-aws, which creates in the emulator
states/            the state of a stack that an earlier version of the program deployed
"""
