//! `traild archive list | verify | fetch`: what is in an archive, whether it is whole, and its files.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueHint};

use crate::cli::archive::place::{PlaceArgs, failed, runtime};
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::terminal::output::{Output, tell};
use crate::cli::terminal::text::{bytes, printable, thousands};
use crate::trails::archive::{Archive, Content, Entry};

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild archive list /srv/archive/all                      the segments of a trail with the format `segments`
  traild archive verify s3://audit/traild/all --from 2026-11-01
  traild archive fetch s3://audit/traild/all --into ./copy --from 2026-11-22 --to 2026-11-23

Keys come from the variables that the vendor's programs take: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; OSS_ACCESS_KEY_ID,
OSS_ACCESS_KEY_SECRET and OSS_REGION; GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY. `verify` reads every file; one line on standard output for everything that is
wrong. Exit code 1: something is. `traild restore` makes a data directory of an archive.";

/// Looks at archived segments.
#[derive(Debug, Clone, Args)]
pub struct ArchiveArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Lists the segments.
    List(PlaceArgs),
    /// Reads every segment, holds it against its manifest, and looks whether the sequences follow each other.
    Verify(PlaceArgs),
    /// Brings segments into a folder, verified on the way.
    Fetch {
        #[command(flatten)]
        place: PlaceArgs,
        /// The folder; made where it is not there.
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        into: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// When the archive cannot be read, or files not be written.
pub fn archive(args: &ArchiveArgs) -> Outcome {
    let place = match &args.what {
        What::List(place) | What::Verify(place) | What::Fetch { place, .. } => place,
    };
    let (archive, days) = (place.archive()?, place.days()?);
    let runtime = runtime()?;
    let content = runtime.block_on(archive.content(days)).map_err(failed)?;
    let mut output = Output::new();
    let problems =
        match &args.what {
            What::List(_) => {
                content.entries.iter().try_for_each(|entry| output.line(&row(entry)))?;
                content.problems.clone()
            }
            What::Verify(_) => {
                let mut problems = runtime.block_on(read_all(&archive, &content, |_, _| Ok(())))?;
                problems.extend(content.gaps());
                // Of nothing nobody can say that it is whole; it is more likely the wrong place.
                problems.extend(content.entries.is_empty().then(|| {
                    format!("there are no segments of these days in {}: the place ends with the name of the trail", archive.place())
                }));
                problems
            }
            What::Fetch { into, .. } => {
                fs::create_dir_all(into).map_err(|e| Failure::usage(format!("cannot make {}: {e}", into.display())))?;
                runtime.block_on(read_all(&archive, &content, |entry, file| write(into, entry, file)))?
            }
        };
    problems.iter().try_for_each(|problem| output.line(&printable(problem)))?;
    output.flush()?;
    let sum = |of: fn(&Entry) -> u64| content.entries.iter().map(of).sum::<u64>();
    let (events, size) = (thousands(sum(|entry| entry.segment.events)), bytes(sum(|entry| entry.segment.bytes)));
    let (segments, problems) = (thousands(content.entries.len() as u64), problems.len() as u64);
    tell(format!("{segments} segments, {events} events, {size} in {}; {} problems", archive.place(), thousands(problems)));
    Ok(if problems == 0 { Exit::Ok } else { Exit::Nothing })
}

fn row(entry: &Entry) -> String {
    let segment = &entry.segment;
    let (first, last) = (segment.first_sequence, segment.last_sequence);
    format!("{}  {}  {first}-{last}  {} events  {} bytes  {}", entry.day, segment.id, segment.events, segment.bytes, segment.sha256)
}

/// Reads every file and does something with each that is as it should be; what is wrong with the others.
///
/// # Errors
/// When the store cannot be asked, or what is done fails.
pub async fn read_all(
    archive: &Archive,
    content: &Content,
    mut each: impl FnMut(&Entry, &[u8]) -> Result<(), Failure>,
) -> Result<Vec<String>, Failure> {
    let mut problems = content.problems.clone();
    for entry in &content.entries {
        match archive.file(entry).await.map_err(failed)? {
            Ok(file) => each(entry, &file)?,
            Err(problem) => problems.push(problem),
        }
    }
    Ok(problems)
}

fn write(into: &Path, entry: &Entry, file: &[u8]) -> Result<(), Failure> {
    let path = into.join(&entry.segment.file);
    fs::write(&path, file).map_err(|e| Failure::usage(format!("cannot write {}: {e}", path.display())))
}
