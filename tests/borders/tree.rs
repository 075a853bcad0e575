//! The workspace's crates and what they depend on, as cargo resolves it.
//!
//! A plain value, so that the rules can be asked about trees that do not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// One of our crates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Named in its manifest for the product, with the features asked for there.
    pub(crate) needs: BTreeMap<String, Vec<String>>,
    /// Named in its manifest for tests or build scripts only.
    pub(crate) needs_for_tests: BTreeSet<String>,
    /// Everything that is compiled into it, however far away, tests and build scripts left out.
    pub(crate) reaches: BTreeSet<String>,
}

/// Where the workspace is.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this package is two folders below the root").to_owned()
}

/// The crates under `crates/`. The test packages under `tests/` are nobody's dependency and draw no border.
pub(crate) fn members() -> Vec<Member> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        // The platform that is shipped: without it, cargo would fetch what only other systems need.
        .other_options(["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(String::from))
        .exec()
        .expect("`cargo metadata` answers");
    let crates = metadata.workspace_root.join("crates");
    metadata
        .workspace_packages()
        .into_iter()
        .filter(|package| package.manifest_path.starts_with(&crates))
        .map(|package| {
            let mut member = Member { name: package.name.to_string(), ..Member::default() };
            for dependency in &package.dependencies {
                if dependency.kind == DependencyKind::Normal {
                    member.needs.insert(dependency.name.clone(), dependency.features.clone());
                } else {
                    member.needs_for_tests.insert(dependency.name.clone());
                }
            }
            member.reaches = reaches(&metadata, &package.id);
            member
        })
        .collect()
}

fn reaches(metadata: &Metadata, from: &PackageId) -> BTreeSet<String> {
    let nodes = &metadata.resolve.as_ref().expect("dependencies were asked for").nodes;
    let edges: BTreeMap<&PackageId, Vec<&PackageId>> = nodes
        .iter()
        .map(|node| {
            let normal = node
                .deps
                .iter()
                .filter(|dependency| dependency.dep_kinds.iter().any(|info| info.kind == DependencyKind::Normal));
            (&node.id, normal.map(|dependency| &dependency.pkg).collect())
        })
        .collect();
    let mut open = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(edges.get(id).into_iter().flatten().copied());
        }
    }
    seen.remove(from);
    seen.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

/// What a program has compiled into it that embeds the library and leaves out the feature `program`.
///
/// `cargo metadata` unites the features that all members of the workspace ask for; `cargo tree` answers for one of them.
pub(crate) fn embedded() -> BTreeSet<String> {
    let cargo = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--locked", "--package", "hookyard", "--no-default-features", "--edges", "normal"])
        .args(["--target", "x86_64-unknown-linux-gnu", "--prefix", "none", "--format", "{p}"])
        .output()
        .expect("`cargo tree` runs");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let tree = String::from_utf8(cargo.stdout).expect("names of crates are text");
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
