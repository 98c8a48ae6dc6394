"""One module a TOML table: its options as written, as resolved, and resolve()."""
