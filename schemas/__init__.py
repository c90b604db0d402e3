"""What crosses a boundary: events, commands, the audit record, the topic catalogue and the vendors' wire models.

Pure data, made of pydantic and orjson only. Importing a module here does nothing.
"""
