//! Logs of real failures, and what a person is shown of each. The first line of
//! a snapshot is the class; a new log in `tests/logs` gets its snapshot by itself.

use crossmill::run::build_log;
use std::path::Path;

#[test]
fn every_log_shows_its_first_real_error() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    let mut logs: Vec<_> = fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    logs.sort();
    assert!(logs.len() >= 18, "the logs are missing");
    for path in logs {
        let log = std::io::BufReader::new(fs_err::File::open(&path).unwrap());
        let found = build_log::read(log, 12).unwrap();
        let class = serde_json::to_string(&found.class).unwrap();
        let shown = format!("{class}\n{}", found.excerpt.join("\n"));
        insta::assert_snapshot!(path.file_stem().unwrap().to_str().unwrap(), shown);
    }
}
