"""What crosses a boundary: events, commands, the audit record, the topic catalogue and the vendors' wire models.

Pure data, made of pydantic and orjson only. Importing a module here does nothing.
"""

#: The version of Lockstep, in the wheel, on the command line and in the contract of its topics.
VERSION = "0.1.0"
