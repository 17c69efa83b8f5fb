//! The report in a real browser: it must open from a file, complain of nothing and show its charts.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell::{can_install, exists, install, program, root, run};
use crate::test::Skipped;

/// Debian's name first.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A small run's report, opened by headless Chromium.
pub(crate) fn page() -> Result<Skipped, String> {
    let Some(browser) = browser()? else {
        return Ok(Some(
            "the report in a browser: there is no Chromium and we may not install it".into(),
        ));
    };
    let folder = root().join("target/page");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let out = folder.join("run").display().to_string();
    let manyhands = root().join("target/release/manyhands").display().to_string();
    let arguments = ["run", "squares", "sleep", "--rounds", "6", "--out", &out];
    run("a run for the page", &mut program(&manyhands, &arguments))?;
    let report = folder.join("run/report.html");
    look(browser, &report, &folder, "wide", "1280,2400")?;
    look(browser, &report, &folder, "narrow", "320,2400")?;
    let dom = open(browser, &report, &folder, &["--dump-dom"])?;
    let figures = dom.stdout.matches("<svg").count();
    if figures < 2 {
        return Err(format!("{}: {figures} charts after loading", report.display()));
    }
    println!("== the report in {browser}: {figures} charts, nothing complained of");
    Ok(None)
}

fn browser() -> Result<Option<&'static str>, String> {
    let find = || BROWSERS.into_iter().find(|name| exists(name));
    if find().is_none() && can_install() {
        install("chromium")?;
    }
    Ok(find())
}

fn look(browser: &str, page: &Path, folder: &Path, name: &str, size: &str) -> Result<(), String> {
    let picture = folder.join(format!("{name}.png"));
    let (shot, size) =
        (format!("--screenshot={}", picture.display()), format!("--window-size={size}"));
    open(browser, page, folder, &[&shot, &size])?;
    // A blank page compresses to a few kilobytes.
    let bytes = fs::metadata(&picture).map_err(|e| format!("{}: {e}", picture.display()))?.len();
    if bytes < 10_000 {
        return Err(format!("{}: {bytes} bytes: the page is blank", picture.display()));
    }
    println!("   {}", picture.display());
    Ok(())
}

struct Opened {
    stdout: String,
}

/// Opens a page; anything that it says on the console fails, a blocked request included.
fn open(browser: &str, page: &Path, folder: &Path, more: &[&str]) -> Result<Opened, String> {
    let profile = folder.join("profile");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(more)
        .arg(format!("file://{}", page.display()))
        .output()
        .map_err(|error| format!("{browser}: cannot start: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let complaint = stderr.lines().find(|line| line.contains(":CONSOLE"));
    match (output.status.success(), complaint) {
        (true, None) => Ok(Opened { stdout: String::from_utf8_lossy(&output.stdout).into_owned() }),
        (_, Some(line)) => Err(format!("{}: the browser says: {line}", page.display())),
        (false, None) => Err(format!("{browser}: {}\n{stderr}", output.status)),
    }
}
