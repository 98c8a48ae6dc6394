"""The text of a spec -> what its author wrote, with the place of everything."""
