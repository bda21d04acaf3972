//! The fuzz targets with the inputs of their corpora.

pub mod corpora;
