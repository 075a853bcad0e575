//! Runs every input of every fuzz target's corpus, so that what was found once stays found.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use hookyard_corpora::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_input_of_every_corpus_holds() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let folder = fuzz().join("corpus").join(name);
        let inputs = names_in(&folder);
        assert!(!inputs.is_empty(), "the corpus of `{name}` is empty");
        for input in inputs {
            let data = fs::read(folder.join(&input)).expect("an input can be read");
            if catch_unwind(|| target(&data)).is_err() {
                broken.push(format!("{name}/{input}"));
            }
        }
    }
    assert!(broken.is_empty(), "these inputs break their target: {broken:?}");
}

#[test]
fn every_target_has_a_binary_and_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in(&fuzz().join("corpus")), targets);
    let binaries = names_in(&fuzz().join("fuzz_targets"));
    assert_eq!(binaries, targets.iter().map(|name| format!("{name}.rs")).collect());
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("the manifest can be read");
    for name in targets {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "fuzz/Cargo.toml lacks `{name}`");
    }
}
