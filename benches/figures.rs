//! What doorward costs, measured on the release build with real processes, against floors that run beside it:
//!
//!     ./bench                    all rows; writes docs/benchmarks.md
//!     ./bench ROW ...            only these rows, printed
//!     ./bench --quick            short runs, printed; with --write, docs/benchmarks.md is made of them
//!     ./bench --instructions     counts instructions instead
//!
//! `rows/` measures, a file a subject; `floor/` is what a checker can't be faster than; `load/` asks the questions;
//! `kit/` starts processes, mints tokens and reads what they cost; `table` tells it. Figures are of one machine at one
//! time. None of them fails anything: a row says what must be reached, and the gap where it is not.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![allow(unreachable_pub, reason = "a program of its own: nobody else sees what its modules share")]

mod floor;
#[path = "../tests/harness/mod.rs"]
mod harness;
mod instructions;
mod kit;
mod load;
mod rows;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// The same allocator as doorward's: the floors are this very program.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|first| first == floor::FLAG) {
        floor::serve(&args[1..]);
        return ExitCode::SUCCESS;
    }
    if !harness::redis::available() {
        println!("redis-server is not installed; `./test --tools` installs it");
        return ExitCode::from(69);
    }
    if args.first().is_some_and(|first| first == instructions::FLAG) {
        return instructions::run(&kit::world::World::new(true), &args[1..]);
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let write = args.iter().any(|arg| arg == "--write");
    let names: Vec<&str> =
        args.iter().map(String::as_str).filter(|arg| !["--quick", "--write"].contains(arg)).collect();
    if let Some(unknown) = names.iter().find(|name| rows::find(name).is_none()) {
        let known: Vec<_> = rows::ALL.iter().map(|row| format!("  {:<16} {}", row.name, row.what)).collect();
        println!("./bench: there is no row \"{unknown}\"; the rows are:\n{}", known.join("\n"));
        return ExitCode::from(64);
    }
    let world = kit::world::World::new(quick);
    let mut failed = 0;
    let mut table = table::Table::default();
    for row in rows::ALL.iter().filter(|row| names.is_empty() || names.contains(&row.name)) {
        println!("\n== {} ({})", row.what, row.name);
        // A row that can't be measured takes no other with it; what it met was printed.
        let lines = catch_unwind(AssertUnwindSafe(|| (row.measure)(&world)));
        failed += usize::from(lines.is_err());
        for line in lines.unwrap_or_default() {
            println!("{line}");
            table.add(row.name, line);
        }
    }
    println!("\n{}", table.markdown());
    if names.is_empty() && (write || !quick) {
        table.write(world.rounds(), world.turn());
        println!("written to {}", table::FILE);
    }
    if failed > 0 {
        println!("{failed} rows could not be measured: see above");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
