//! The checker against `prost`: MB/s for a request of each signal, whole and in the frames of
//! 16 kB in which HTTP/2 brings it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot make its requests ends"
)]

mod requests;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const FRAME: usize = 16 << 10;

fn checker(criterion: &mut Criterion) {
    for request in requests::requests() {
        let mut group = criterion.benchmark_group(request.signal);
        group.throughput(Throughput::BytesDecimal(request.bytes.len() as u64));
        let bytes = Bytes::from(request.bytes);
        let frames: Vec<Bytes> = bytes.chunks(FRAME).map(Bytes::copy_from_slice).collect();
        let whole = [bytes.clone()];
        let items = portcullis::measure::check(request.signal, &whole);
        assert!(items.is_some() && (request.decode)(&bytes), "an invalid {}", request.signal);
        group.bench_function("checker, whole", |bencher| {
            bencher.iter(|| portcullis::measure::check(request.signal, &whole));
        });
        group.bench_function("checker, frames", |bencher| {
            bencher.iter(|| portcullis::measure::check(request.signal, &frames));
        });
        group.bench_function("prost", |bencher| bencher.iter(|| (request.decode)(&bytes)));
        group.finish();
    }
}

criterion_group!(benches, checker);
criterion_main!(benches);
