"""The deployed pipeline, run in an emulator of AWS: `make test-cloud`, and `make cloud-demo` to look at it.

emulator.py   starts the emulator, and the proxy in front of it that makes faults
patches.py    what of the emulator is replaced so that it does as AWS does, and nothing more
resources.py  creates, reads, changes and deletes in it what the program registers
refusals.py   refuses what AWS refuses and the emulator does not
stack.py      the stack as a test sees it: fire a schedule, read the lake, the log, the queue
layer/        what is added to the function: a clock that a test may set
"""
