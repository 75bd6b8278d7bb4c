//! `trail-sim`: puts the engine through the fault matrix, as far as it runs in process, and prints the table.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use trail_sim::classes::ALL;
use trail_sim::runner::Scale;
use trail_sim::table::{Row, row};

const USAGE: &str = "usage: trail-sim [--counts pr|long] [--percent P] [--class N] [--seed S] [--point P] [--table FOLDER] | --again FOLDER

Injects faults into the engine on a simulated disk and clock, and holds what it then has against what it had acknowledged.
Ends with status 1 when anything is lost, altered or wrong, when a thread panics, or when a class has fewer cases than its target.

  --counts pr    the counts of a change (the default)
  --counts long  the counts of a release
  --percent P    of every class only so much, to see how it goes
  --class N      only this class
  --seed S       where randomness comes from; a number
  --point P      only this case of the class and seed: what a failure prints
  --table FOLDER each row of the table in a file of its own besides, for tests/table
  --again FOLDER judges once more what a power cut of class 1 left, which a failure keeps: lives of odd seeds are not the same twice
";

struct Arguments {
    scale: Scale,
    class: Option<u32>,
    table: Option<PathBuf>,
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { scale: Scale { long: false, percent: 100, seed: 1, point: None }, class: None, table: None };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word}: {value} is no number"));
        match word.as_str() {
            "--counts" if value == "pr" || value == "long" => arguments.scale.long = value == "long",
            "--class" => arguments.class = Some(number()? as u32),
            "--percent" if (1..=100).contains(&number()?) => arguments.scale.percent = number()?,
            "--seed" => arguments.scale.seed = number()?,
            "--table" => arguments.table = Some(PathBuf::from(&value)),
            "--point" => arguments.scale.point = Some(number()?),
            _ => return Err(format!("{word} {value} is not understood")),
        }
    }
    if arguments.scale.point.is_some() && arguments.class.is_none() {
        return Err("--point needs --class".to_owned());
    }
    if arguments.class.is_some_and(|number| ALL.iter().all(|class| class.number != number)) {
        let known: Vec<String> = ALL.iter().map(|class| class.number.to_string()).collect();
        return Err(format!("there is no such class; there are {}", known.join(", ")));
    }
    Ok(arguments)
}

/// Judges a case that was kept.
fn again(folder: &Path) -> ExitCode {
    match trail_sim::classes::again(folder) {
        Ok(verdict) if verdict.is_right() => {
            println!("all is right");
            ExitCode::SUCCESS
        }
        Ok(verdict) => {
            verdict.wrong.iter().for_each(|complaint| println!("{complaint}"));
            ExitCode::FAILURE
        }
        Err(problem) => {
            eprintln!("trail-sim: {problem}");
            ExitCode::from(2)
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if let [flag, folder] = &words[..]
        && flag == "--again"
    {
        return again(Path::new(folder));
    }
    let arguments = match read(words.into_iter()) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprint!("trail-sim: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    println!("seed {}", arguments.scale.seed);
    println!("{}", Row::heading());
    let mut good = true;
    for class in ALL.into_iter().filter(|class| arguments.class.is_none_or(|number| number == class.number)) {
        let row = row(class, arguments.scale);
        println!("{row}");
        good &= row.is_good();
        if let Some(Err(error)) = arguments.table.as_deref().map(|folder| row.keep(folder)) {
            eprintln!("trail-sim: the row cannot be kept: {error}");
            good = false;
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
