//! The network, its optimizer, its trainer and its voice. Knows tensors; knows no dataflow.
