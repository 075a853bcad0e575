//! Reads a YAML file into a tree of places.
//!
//! Called for Kiosk's file. The first document of the file counts, YAML 1.2 with its core schema; merge keys (`<<`) work,
//! as in Kiosk's own reader. Depth and size of the tree are bounded, so that aliases cannot blow it up; nothing recurses
//! while it is read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hookyard_model::limits;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::fault::{Faults, Place};
use super::tree::{Given, Name, Node};

/// Values of a file, with what its aliases stand for: far more than any Kiosk has options.
const NODES: usize = 200_000;

/// A mapping or sequence that is not complete.
struct Open {
    node: Node,
    /// The key whose value comes next, in a mapping.
    name: Option<Name>,
    anchor: usize,
    /// Values in it so far.
    size: usize,
}

struct Reader<'a> {
    faults: &'a mut Faults,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// The file's value, null for an empty file; `None` when it is not YAML, which has been said.
pub(super) fn read(file: &Arc<str>, text: &str, faults: &mut Faults) -> Option<Node> {
    let mut reader = Reader { faults, open: Vec::new(), root: None, anchors: HashMap::new(), nodes: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let place = within(text, place(file, *error.marker()));
                reader.faults.add(&place, "", format_args!("is not YAML: {}", error.info()));
                return None;
            }
        };
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        reader.event(event, place(file, span.start))?;
    }
    let nothing = Node { place: Place::whole(file), given: Given::Null };
    Some(reader.root.unwrap_or(nothing))
}

/// The parser has what is missing at the end of a text begin a line that the text does not have.
fn within(text: &str, place: Place) -> Place {
    // In YAML a carriage return ends a line as well.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    match place {
        Place::File { file, line, .. } if line > text.split('\n').count() => {
            let last = text.split('\n').next_back().unwrap_or_default();
            Place::File { file, line: line - 1, column: last.chars().count() + 1 }
        }
        Place::File { .. } | Place::Environment(_) | Place::Flag(_) | Place::Default => place,
    }
}

fn place(file: &Arc<str>, marker: Marker) -> Place {
    Place::File { file: Arc::clone(file), line: marker.line(), column: marker.col() + 1 }
}

impl Reader<'_> {
    /// `None` ends the reading, and why has been said.
    fn event(&mut self, event: Event<'_>, place: Place) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Some(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                // A key is a name, whatever it looks like.
                if let Some(open) = self.open.last_mut().filter(|open| open.takes_name()) {
                    open.name = Some(Name { text: text.into_owned(), place });
                    return Some(());
                }
                let given = scalar(&text, style, tag.as_deref());
                self.value(Node { place, given }, anchor, 1, 1)
            }
            Event::SequenceStart(anchor, _) => self.begin(place, Given::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(place, Given::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { mut node, anchor, size, .. } = self.open.pop()?;
                if let Given::Map(members) = &mut node.given {
                    refuse_repeated(members, self.faults);
                    merge(members);
                }
                self.value(node, anchor, size, 1)
            }
            Event::Alias(anchor) => {
                // An alias of what it stands in has no value yet.
                let Some((mut node, size)) = self.anchors.get(&anchor).cloned() else {
                    self.faults.add(&place, "", "is an alias of what it is a part of");
                    return None;
                };
                node.place = place;
                self.value(node, 0, size, size)
            }
        }
    }

    fn begin(&mut self, place: Place, given: Given, anchor: usize) -> Option<()> {
        if self.open.len() >= limits::JSON_DEPTH {
            let what = format!("is nested more than {} levels deep", limits::JSON_DEPTH);
            self.faults.add(&place, "", what);
            return None;
        }
        self.refuse_as_name(&place)?;
        self.open.push(Open { node: Node { place, given }, name: None, anchor, size: 1 });
        Some(())
    }

    /// Puts a complete value where it belongs; `size` is how many values it is, `fresh` how many were not counted before.
    fn value(&mut self, node: Node, anchor: usize, size: usize, fresh: usize) -> Option<()> {
        let kept = if anchor > 0 { size } else { 0 };
        self.nodes = self.nodes.saturating_add(fresh).saturating_add(kept);
        if self.nodes > NODES {
            self.faults.add(&node.place, "", format_args!("is one of more than {NODES} values, aliases included"));
            return None;
        }
        self.refuse_as_name(&node.place)?;
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Some(());
        };
        open.size += size;
        match &mut open.node.given {
            Given::Map(members) => members.extend(open.name.take().map(|name| (name, node))),
            Given::List(items) => items.push(node),
            Given::Null | Given::Boolean(_) | Given::Number(_) | Given::Text(_) => {}
        }
        Some(())
    }

    fn refuse_as_name(&mut self, place: &Place) -> Option<()> {
        if self.open.last().is_some_and(Open::takes_name) {
            self.faults.add(place, "", "is no text, and a key must be one");
            return None;
        }
        Some(())
    }
}

impl Open {
    fn takes_name(&self) -> bool {
        matches!(self.node.given, Given::Map(_)) && self.name.is_none()
    }
}

/// Kiosk's own reader takes no key twice either.
fn refuse_repeated(members: &[(Name, Node)], faults: &mut Faults) {
    let mut names = HashSet::new();
    for (name, _) in members {
        if !names.insert(&name.text) {
            faults.add(&name.place, &name.text, "is given twice");
        }
    }
}

/// Puts the members of what `<<` stands for in its place; those that are given win, then those of the first.
fn merge(members: &mut Vec<(Name, Node)>) {
    let Some(at) = members.iter().position(|(name, node)| name.text == "<<" && is_mergeable(node)) else { return };
    let (_, merged) = members.remove(at);
    let merged = match merged.given {
        Given::List(nodes) => nodes,
        Given::Null | Given::Boolean(_) | Given::Number(_) | Given::Text(_) | Given::Map(_) => vec![merged],
    };
    let mut names: HashSet<String> = members.iter().map(|(name, _)| name.text.clone()).collect();
    for node in merged {
        let Given::Map(more) = node.given else { continue };
        members.extend(more.into_iter().filter(|(name, _)| names.insert(name.text.clone())));
    }
}

fn is_mergeable(node: &Node) -> bool {
    match &node.given {
        Given::Map(_) => true,
        Given::List(nodes) => nodes.iter().all(|node| matches!(node.given, Given::Map(_))),
        Given::Null | Given::Boolean(_) | Given::Number(_) | Given::Text(_) => false,
    }
}

/// What a scalar is by the core schema (YAML 1.2.2, 10.3.2): quoted ones are texts.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Given {
    let tagged_as_text = tag.is_some_and(|tag| !tag.is_yaml_core_schema() || tag.suffix == "str");
    if style != ScalarStyle::Plain || tagged_as_text {
        return Given::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Given::Null,
        "true" | "True" | "TRUE" => Given::Boolean(true),
        "false" | "False" | "FALSE" => Given::Boolean(false),
        _ if is_number(text) => Given::Number(text.to_owned()),
        _ => Given::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let begins = digits.strip_prefix('.').unwrap_or(digits).starts_with(|first: char| first.is_ascii_digit());
    let based = |prefix, base| {
        text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|digit| digit.is_digit(base)))
    };
    begins && digits.parse::<f64>().is_ok()
        || based("0x", 16)
        || based("0o", 8)
        || matches!(digits, ".inf" | ".Inf" | ".INF")
        || matches!(text, ".nan" | ".NaN" | ".NAN")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(text: &str) -> Result<Node, String> {
        let mut faults = Faults::default();
        let read = read(&"config.yaml".into(), text, &mut faults);
        if faults.is_empty() { Ok(read.expect("nothing is wrong")) } else { Err(faults.to_string()) }
    }

    fn shown(node: &Node) -> String {
        match &node.given {
            Given::Null => "null".to_owned(),
            Given::Boolean(value) => value.to_string(),
            Given::Number(text) => format!("#{text}"),
            Given::Text(text) => format!("{text:?}"),
            Given::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
            Given::Map(members) => {
                let member = |(name, node): &(Name, Node)| format!("{}:{}", name.text, shown(node));
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn values_are_what_the_core_schema_says() {
        for (text, expected) in [
            ("", "null"),
            ("a: asset.new", r#"{a:"asset.new"}"#),
            (
                "[1, 0x1f, 1.5e3, .5, -1, .inf, ~, yes, True, '1', 1.2.3, e1, !!str 5]",
                r#"[#1,#0x1f,#1.5e3,#.5,#-1,#.inf,null,"yes",true,"1","1.2.3","e1","5"]"#,
            ),
            ("a: &x {b: 1}\nc: {<<: *x, b: 2, d: 3}\ne: {<<: *x}", "{a:{b:#1},c:{b:#2,d:#3},e:{b:#1}}"),
            ("a: |\n  one\n  two\n", r#"{a:"one\ntwo\n"}"#),
            ("a: 1\n---\nb: 2", "{a:#1}"),
            ("1: x", r#"{1:"x"}"#),
        ] {
            assert_eq!(tree(text).map(|node| shown(&node)), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        for (text, expected) in [
            ("a: [1", "config.yaml:1:6: is not YAML: "),
            ("a: {b: 1,\n  c", "config.yaml:2:4: is not YAML: "),
            ("a: {b: 1,\r\r\n  c", "config.yaml:3:4: is not YAML: "),
            ("a: 1\na: 2", "config.yaml:2:1: `a`: is given twice"),
            ("? [1]\n: 2", "config.yaml:1:3: is no text, and a key must be one"),
            ("a: &x [*x]", "config.yaml:1:8: is an alias of what it is a part of"),
            ("a: *x", "config.yaml:1:4: is not YAML: "),
        ] {
            let report = tree(text).expect_err(text);
            assert!(report.contains(expected), "{text}: {report}");
        }
        assert!(tree(&"[".repeat(129)).expect_err("too deep").contains("more than 128 levels"));
        assert!(tree(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_ok());
    }

    #[test]
    fn aliases_do_not_blow_up() {
        let mut text = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for level in 1..30 {
            let alias = format!("*a{}", level - 1);
            text = format!("{text}a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(","));
        }
        assert!(tree(&text).expect_err("a bomb").contains("values, aliases included"));
        let nested = (0..120).map(|level| format!("&b{level} [")).collect::<Vec<_>>().concat();
        let text = format!("{nested}{}{}", "1,".repeat(50_000), "]".repeat(120));
        assert!(tree(&text).expect_err("kept again and again").contains("values, aliases included"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r"[-:,\[\]{}&*!?|>'#%@`a0 .<\n\t]{0,60}") {
            let _ = tree(&text);
        }
    }
}
