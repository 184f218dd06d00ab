//! The HTTP exporter against upstreams that behave in every way they can. The checks of the
//! contract's section 10 are named by their numbers.

mod answers;
mod connections;
mod rotation;
