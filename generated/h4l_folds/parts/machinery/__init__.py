"""What keeps a run safe: folder, lock, record, checkpoints, signals, trackers."""
