"""What files of data hold, and the spec that could be trained on them."""
