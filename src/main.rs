//! The face of seseragi.

fn main() {}
