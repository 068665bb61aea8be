//! The files of a folder as pages.

use std::{fs, path::Path, time::UNIX_EPOCH};

use crate::behaviour::Page;

/// The file that `path` names under `folder`; none for folders, and for paths that leave it.
pub fn page(folder: &Path, path: &str) -> Option<Page> {
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_start_matches('/');
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let file = folder.join(path);
    let about = fs::metadata(&file).ok().filter(fs::Metadata::is_file)?;
    let modified = about.modified().ok()?;
    let stamp = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let media = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => "text/html",
        Some("txt") => "text/plain",
        Some("csv") => "text/csv",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    };
    let page = Page::html(fs::read(&file).ok()?)
        .header("Content-Type", media)
        .header("ETag", format!("\"{:x}-{stamp:x}\"", about.len()))
        .header("Last-Modified", httpdate::fmt_http_date(modified));
    Some(page)
}
