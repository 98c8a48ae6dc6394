"""One module a TOML table: its options as written, as resolved, and resolve().

A resolved class inherits from the written one, and declares anew what resolve() fills.
"""
