//! What the whole of `csv` must get right.
