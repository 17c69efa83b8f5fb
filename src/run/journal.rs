//! Where a record grows: a line is appended and synced after each launch.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use manyhands_record::journal::{FILE_NAME, Line};

use crate::error::Error;

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// All lines so far: what the record is made from at the end.
    lines: Vec<Line>,
}

impl Journal {
    /// Writes a journal that begins with `lines`, in place of any that is there: beside it,
    /// synced, then renamed, so that there is a whole one at every moment.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn create(folder: &Path, lines: Vec<Line>) -> Result<Self, Error> {
        let path = folder.join(FILE_NAME);
        let text: String = lines.iter().map(Line::encode).collect();
        write_whole(&path, text.as_bytes())?;
        let file =
            OpenOptions::new().append(true).open(&path).map_err(|e| unwritable(&path, &e))?;
        Ok(Self { file, path, lines })
    }

    /// Appends a line and waits until it is on the disk.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub(super) fn append(&mut self, line: Line) -> Result<(), Error> {
        self.file
            .write_all(line.encode().as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|error| unwritable(&self.path, &error))?;
        self.lines.push(line);
        Ok(())
    }

    /// All lines so far.
    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// Writes a file so that at every moment the old one or the new one is there, whole: beside it,
/// synced, renamed.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("part");
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&beside);
        Error::failed(format!("cannot write {}: {error}", path.display()))
    })
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::failed(format!(
        "cannot write {}: {error}; what was measured before is kept: make room, then go on by \
         'manyhands run --resume' and this folder",
        path.display()
    ))
}
