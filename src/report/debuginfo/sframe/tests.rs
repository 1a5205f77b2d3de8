use super::*;
use crate::debuginfo::sframe::compare::{ScanResult, examine, side_by_side};
use crate::debuginfo::sframe::rule;
use crate::report::Style;
use std::path::Path;

fn fixture(name: &str) -> Vec<u8> {
    fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sframe").join(name)).unwrap()
}

fn scan(names: &[&str]) -> ScanResult {
    let reports = names.iter().map(|name| examine(name, &fixture(name)).unwrap());
    ScanResult { reports: reports.collect(), others: 0 }
}

#[test]
fn one_file_is_shown_with_its_figures() {
    insta::assert_snapshot!("one", text(&scan(&["amd64-new-v3.o"]), false, Style::PLAIN));
}

#[test]
fn of_many_files_only_those_with_findings_are_shown() {
    let names = ["amd64-v3.so", "s390x-v3.so", "aarch64-v3.so", "aarch64-v1.so", "faults/offset-then-register.o"];
    insta::assert_snapshot!("many", text(&scan(&names), false, Style::PLAIN));
}

#[test]
fn the_form_of_json_is_the_documented_one() {
    insta::assert_snapshot!("json", json(&scan(&["faults/expression-on-aarch64.o"]), false).unwrap());
}

#[test]
fn rows_stand_side_by_side() {
    let sides = side_by_side(&fixture("faults/nested-remember.o"), "nested").unwrap();
    insta::assert_snapshot!("rows", rows(&sides, Style::PLAIN));
    insta::assert_snapshot!("rows_json", rows_json(&sides).unwrap());
}

#[test]
fn a_rule_is_explained() {
    insta::assert_snapshot!("explain", explain(rule("SF080").unwrap()));
}
