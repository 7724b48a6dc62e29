//! Times a loop: the best of many short runs. Included by the benchmark programs.
use std::time::Instant;

pub fn measure(name: &str, operations: u64, mut run: impl FnMut(u64)) {
    let asked = std::env::var("BENCH_RUNS").ok().and_then(|text| text.parse().ok());
    let best = (0..asked.filter(|&runs| runs > 0).unwrap_or(50))
        .map(|_| {
            let start = Instant::now();
            run(operations);
            start.elapsed().as_nanos() as f64 / operations as f64
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name} {best:.2}");
}
