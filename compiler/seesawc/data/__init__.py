"""What files of events hold: whether they suit a spec, and a spec that could be trained on them."""
