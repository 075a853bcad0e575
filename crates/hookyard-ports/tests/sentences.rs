//! Every sentence of the conformance suite is run by every store: none is written and forgotten in the list.

use std::path::Path;

#[test]
fn every_sentence_is_listed() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testkit/conformance");
    let list = std::fs::read_to_string(suite.join("mod.rs")).expect("the list is a file");
    let listed: Vec<&str> = list.lines().map(str::trim).collect();
    let mut sentences = 0;
    for file in std::fs::read_dir(&suite).expect("the suite is a folder") {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a chapter is text");
        let begins = text.lines().filter_map(|line| line.strip_prefix("pub async fn "));
        for (name, _) in begins.filter_map(|rest| rest.split_once("(ground: ")) {
            assert!(listed.contains(&name), "`{name}` is not in the list of conformance_tests!");
            sentences += 1;
        }
    }
    assert!(sentences > 30, "only {sentences} sentences were found");
}
