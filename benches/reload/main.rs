//! What a reload of a large `tls` block costs, and a handshake after it.
//!
//! `cargo bench --bench reload [-- --rounds N]`; see `benches/README.md`.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(dead_code, reason = "parts are shared with other benchmarks")]

mod handshake;
mod material;

use std::time::Duration;

use portcullis::measure::{self, Reloading};

use crate::material::{AUTHORITIES, ENTRIES, Form, Material};

/// As in the gateway itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Anything may go wrong in a benchmark, and ends it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Of handshakes, for each of both ways.
const HANDSHAKES: usize = 500;

fn main() -> Outcome<()> {
    let mut rounds = 9;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What cargo adds.
            "--bench" => {}
            "--rounds" => rounds = arguments.next().ok_or("how many?")?.parse()?,
            other => return Err(format!("unknown argument {other:?}").into()),
        }
    }
    // As the reloader has it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(rounds))
}

async fn run(rounds: usize) -> Outcome<()> {
    let mut material = Material::new()?;
    println!("{AUTHORITIES} authorities, lists of {ENTRIES} entries; {rounds} rounds, in ms\n");
    println!("| changed | median | slowest | limit | longest hold of the shared thread |");
    println!("|---|---|---|---|---|");
    material.revoke(Form::Der)?;
    let mut block = measure::reloading(&material.yaml(true))?;
    reloads("the list, in DER", rounds, &mut block, || material.revoke(Form::Der)).await?;
    reloads("the list, in PEM", rounds, &mut block, || material.revoke(Form::Pem)).await?;
    reloads("the pair, beside the list in PEM", rounds, &mut block, || material.renew()).await?;
    reloads("an authority, beside the list in PEM", rounds, &mut block, || material.extend())
        .await?;
    handshakes(&material, &block)
}

async fn reloads(
    changed: &str,
    rounds: usize,
    block: &mut Reloading,
    mut change: impl FnMut() -> Outcome<()>,
) -> Outcome<()> {
    let (mut whole, mut held_up) = (Vec::new(), Duration::ZERO);
    for _ in 0..rounds {
        change()?;
        let cost = block.reload().await?;
        whole.push(cost.whole);
        held_up = held_up.max(cost.held_up);
    }
    whole.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {changed} | {:.1} | {:.1} | 50 | {:.3} |",
        ms(median(&whole)),
        ms(whole.last().copied().unwrap_or_default()),
        ms(held_up)
    );
    Ok(())
}

/// With the list and without, by turns.
fn handshakes(material: &Material, block: &Reloading) -> Outcome<()> {
    let client = material.client()?;
    let (with, without) = (block.config(), measure::reloading(&material.yaml(false))?.config());
    let (mut listed, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..HANDSHAKES {
        listed.push(handshake::cost(&with, &client)?);
        plain.push(handshake::cost(&without, &client)?);
    }
    listed.sort_unstable();
    plain.sort_unstable();
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "\na full mTLS handshake, the server's share, medians of {HANDSHAKES}: with the list {:.1} \
         us, without {:.1} us",
        us(median(&listed)),
        us(median(&plain))
    );
    Ok(())
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
