//! A history's bytes, wherever they come from: a file, a run directory, standard input; plain, gzip or zstd, told by their first bytes.
//!
//! Large plain files are mapped, not read: a history of gigabytes then costs no memory of its own. One that is being shortened meanwhile ends the
//! program; small ones, such as runs in progress, are read.

use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

use anyhow::Context as _;

/// From this size on files are mapped.
const MAPPED_FROM: u64 = 16 << 20;

/// The bytes of an input.
pub enum Bytes {
    /// Read or unpacked.
    Read(Vec<u8>),
    /// Mapped.
    Mapped(memmap2::Mmap),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Read(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

/// The bytes at `path`: `-` is standard input, a directory a run's.
///
/// # Errors
///
/// What cannot be read or unpacked, with its path.
pub fn load(path: &Path) -> anyhow::Result<Bytes> {
    let name = path.display();
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("reading standard input")?;
        return unpacked(Bytes::Read(bytes)).context("in standard input");
    }
    let file = if path.is_dir() { path.join("history.jsonl") } else { path.to_path_buf() };
    let mut open = File::open(&file).with_context(|| format!("opening {}", file.display()))?;
    let size = open.metadata().with_context(|| format!("reading {name}"))?.len();
    if size >= MAPPED_FROM {
        // SAFETY: the map is only read. A file that is shortened meanwhile raises SIGBUS, which the header says.
        let map = unsafe { memmap2::Mmap::map(&open) }.with_context(|| format!("mapping {name}"))?;
        return unpacked(Bytes::Mapped(map)).with_context(|| format!("in {name}"));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    open.read_to_end(&mut bytes).with_context(|| format!("reading {name}"))?;
    unpacked(Bytes::Read(bytes)).with_context(|| format!("in {name}"))
}

fn unpacked(bytes: Bytes) -> anyhow::Result<Bytes> {
    let mut out = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&*bytes).read_to_end(&mut out).context("unpacking gzip")?;
    } else if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut rest = Cursor::new(&*bytes);
        while (rest.position() as usize) < bytes.len() {
            let mut frame = ruzstd::decoding::StreamingDecoder::new(&mut rest).context("unpacking zstd")?;
            frame.read_to_end(&mut out).context("unpacking zstd")?;
        }
    } else {
        return Ok(bytes);
    }
    Ok(Bytes::Read(out))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn gzip_is_unpacked_and_what_is_plain_stays() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("packed");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"{:type :ok}").expect("memory can be written");
        std::fs::write(&path, packer.finish().expect("memory can be written")).expect("a file can be written");
        assert_eq!(&*load(&path).expect("gzip can be unpacked"), b"{:type :ok}");
        std::fs::write(&path, b"plain").expect("a file can be written");
        assert_eq!(&*load(&path).expect("a file can be read"), b"plain");
        std::fs::write(&path, [0x28, 0xb5, 0x2f, 0xfd, 1, 2]).expect("a file can be written");
        assert!(load(&path).is_err());
    }
}
