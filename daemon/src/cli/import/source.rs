//! Where events come from: paths become inputs, and inputs become streams of JSON.
//!
//! What a file is follows from its bytes, never from its name: gzip (of several members), zstd, one in the other, or plain.
//! Folders are read whole, in the order of names, hidden files and links to folders left out. What else lies in a folder, such as a
//! README, is told by its first bytes having no line that begins as JSON. A file that was named is always read.

use std::fs;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::exit::Failure;
use crate::cli::terminal::progress::Progress;

/// How many compressions may stand in each other.
const LAYERS_MAX: usize = 3;

/// How many bytes are looked at to tell what a file is.
const HEAD_BYTES: usize = 512;

/// The deepest folder, against loops of mounts.
const FOLDERS_MAX: usize = 64;

/// A stream of bytes.
pub type Stream = Box<dyn Read + Send>;

/// Something to import.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name in messages.
    pub name: Arc<str>,
    /// Its path; `None` for standard input.
    pub path: Option<PathBuf>,
    /// Its length as it is, in bytes; 0 for standard input.
    pub bytes: u64,
    /// Whether it was found in a folder, and not named: then it may be something else that lies there.
    pub found: bool,
}

/// What a stream turned out to be.
pub enum Content {
    /// Text that should be JSON, unpacked.
    Text(Stream),
    /// Nothing.
    Empty,
    /// Something else, in words.
    Foreign(&'static str),
    /// A text in whose beginning nothing looks like JSON.
    Prose(Stream),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Content::Text(_) => "Text",
            Content::Empty => "Empty",
            Content::Foreign(what) => what,
            Content::Prose(_) => "Prose",
        })
    }
}

/// The inputs that paths stand for; `-` is standard input.
///
/// # Errors
/// When a path is not there or a folder cannot be read.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input { name: "stdin".into(), path: None, bytes: 0, found: false });
            continue;
        }
        let meta = fs::metadata(path).map_err(|e| Failure::usage(format!("cannot read {}: {e}", path.display())))?;
        if meta.is_dir() { walk(path, 0, &mut inputs)? } else { inputs.push(file(path, meta.len(), false)) }
    }
    Ok(inputs)
}

fn file(path: &Path, bytes: u64, found: bool) -> Input {
    Input { name: path.display().to_string().into(), path: Some(path.to_owned()), bytes, found }
}

fn walk(folder: &Path, depth: usize, inputs: &mut Vec<Input>) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::usage(format!("cannot read {}: {e}", folder.display()));
    if depth > FOLDERS_MAX {
        return Err(Failure::usage(format!("{} is too deep: more than {FOLDERS_MAX} folders in each other", folder.display())));
    }
    let entries: Result<Vec<fs::DirEntry>, io::Error> = fs::read_dir(folder).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.retain(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."));
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if kind.is_dir() {
            walk(&path, depth + 1, inputs)?;
        } else if let Some(meta) = fs::metadata(&path).ok().filter(fs::Metadata::is_file) {
            inputs.push(file(&path, meta.len(), true));
        }
    }
    Ok(())
}

/// Opens an input and unpacks it; bytes read from it move the progress.
///
/// # Errors
/// What the system says about the file.
pub fn open(input: &Input, progress: &Arc<Progress>) -> io::Result<Content> {
    let raw: Stream = match &input.path {
        Some(path) => Box::new(fs::File::open(path)?),
        None => Box::new(io::stdin()),
    };
    unpack(Box::new(Counted { inner: raw, progress: progress.clone() }))
}

struct Counted {
    inner: Stream,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.progress.read(n as u64);
        Ok(n)
    }
}

/// Takes compressions off a stream, as its first bytes say.
///
/// # Errors
/// What the stream returns.
pub fn unpack(stream: Stream) -> io::Result<Content> {
    let mut stream = stream;
    for _ in 0..=LAYERS_MAX {
        let mut head = Vec::new();
        stream.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let (kind, prose) = (recognise(&head), !has_json_line(&head));
        let whole: Stream = Box::new(Cursor::new(head).chain(stream));
        stream = match kind {
            Kind::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(128 << 10, whole))),
            Kind::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
            Kind::Text if prose => return Ok(Content::Prose(whole)),
            Kind::Text => return Ok(Content::Text(whole)),
            Kind::Empty => return Ok(Content::Empty),
            Kind::Foreign(what) => return Ok(Content::Foreign(what)),
        };
    }
    Ok(Content::Foreign("compressed too many times"))
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Gzip,
    Zstd,
    Text,
    Empty,
    Foreign(&'static str),
}

fn recognise(head: &[u8]) -> Kind {
    match head {
        [0x1f, 0x8b, ..] => Kind::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Kind::Zstd,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Kind::Foreign("UTF-16 text; JSON must be UTF-8"),
        head if head.len() < HEAD_BYTES && head.iter().all(u8::is_ascii_whitespace) => Kind::Empty,
        head if head.iter().any(|b| *b < b' ' && !b.is_ascii_whitespace() && *b != 0x1b) && !starts_as_json(head) => {
            Kind::Foreign("neither JSON, gzip nor zstd")
        }
        _ => Kind::Text,
    }
}

/// Whether a line begins with an object or with an array of something; a link in Markdown begins with `[` and a letter.
fn has_json_line(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    head.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_start).any(|line| match line {
        [b'{', ..] => true,
        [b'[', rest @ ..] => rest.trim_ascii_start().first().is_none_or(|b| matches!(b, b'{' | b'[' | b']')),
        _ => false,
    })
}

fn starts_as_json(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    matches!(text.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn text_of(bytes: Vec<u8>) -> Option<String> {
        match unpack(Box::new(Cursor::new(bytes))).unwrap() {
            Content::Text(mut stream) | Content::Prose(mut stream) => {
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                Some(text)
            }
            _ => None,
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn unpacks_by_content() {
        let json = "{\"a\":1}\n".repeat(200);
        let zstd = zstd::encode_all(json.as_bytes(), 1).unwrap();
        assert_eq!(text_of(json.clone().into_bytes()), Some(json.clone()));
        assert_eq!(text_of(gzip(json.as_bytes())), Some(json.clone()));
        assert_eq!(text_of(zstd.clone()), Some(json.clone()));
        assert_eq!(text_of(gzip(&zstd)), Some(json.clone()));
        assert_eq!(text_of([gzip(b"{}\n"), gzip(b"{}")].concat()).as_deref(), Some("{}\n{}"));
        assert_eq!(text_of([zstd.clone(), zstd].concat()), Some(json.repeat(2)));
        assert_eq!(text_of(b"no json at all".to_vec()).as_deref(), Some("no json at all"));
    }

    #[test]
    fn tells_what_is_no_json() {
        assert_eq!(recognise(b" \n\t"), Kind::Empty);
        assert_eq!(recognise(b""), Kind::Empty);
        assert_eq!(recognise(b"{\"a\":\"\x01\"}"), Kind::Text);
        assert!(matches!(recognise(b"\x7fELF\x02\x01\x01\0\0"), Kind::Foreign(_)));
        assert!(matches!(recognise(b"\xff\xfe{\0"), Kind::Foreign(_)));
        let nested = (0..5).fold(b"{}".to_vec(), |inner, _| gzip(&inner));
        assert!(text_of(nested).is_none());
    }

    #[test]
    fn prose_is_told_from_broken_json() {
        let is_prose = |text: &[u8]| matches!(unpack(Box::new(Cursor::new(text.to_vec()))).unwrap(), Content::Prose(_));
        for text in
            ["# Corpus\n\nAudit events, one object a line\n", "#!/usr/bin/python3\nx = {}\n", "[Traild](https://x)\n", "a,b\n1,2\n", "42\n"]
        {
            assert!(is_prose(text.as_bytes()) && is_prose(&gzip(text.as_bytes())), "{text}");
        }
        for text in ["oops\n{\"a\":1}\n", "\u{feff}{\"a\":1}", "[\n  {\"a\":1}]", "[]", "  {\n", "[[1]]", "{broken"] {
            assert!(!is_prose(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_cut_off_file_is_an_error() {
        let mut packed = gzip("{\"a\":1}\n".repeat(5_000).as_bytes());
        packed.truncate(packed.len() - 10);
        let Content::Text(mut stream) = unpack(Box::new(Cursor::new(packed))).unwrap() else { panic!("not recognised") };
        assert!(stream.read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn folders_are_sorted_and_hidden_files_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.json", "a.json", "b/2", "b/1", ".hidden"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let names: Vec<String> = expand(&[folder.path().to_owned(), "-".into()])
            .unwrap()
            .into_iter()
            .map(|input| input.path.map_or("-".into(), |p| p.strip_prefix(folder.path()).unwrap().display().to_string()))
            .collect();
        assert_eq!(names, ["a.json", "b/1", "b/2", "c.json", "-"]);
        assert!(expand(&[folder.path().join("missing")]).is_err());
    }
}
