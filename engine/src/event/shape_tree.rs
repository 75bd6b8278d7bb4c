//! [`ShapeTree`]: the shapes seen before, so that an event of a known shape is read along it.
//!
//! **Problem.** To find the shape of an event, its keys and punctuation were read byte by byte, copied together, hashed and compared.
//! But nearly every event has a shape that is known.
//!
//! **Mechanism.** A radix tree of the shapes' text. An event is compared with the labels on the way down: whole stretches at once; at a
//! mark a value is read. Where the tree branches, the next byte decides: a mark for a string and a key never stand at one place of
//! valid JSON, so that a quote is one or the other, and the same goes for literals. Who reaches the end of a shape together with the
//! end of the event has checked every byte of it: the shape was valid JSON when it was taken in, and so are the values in it.
//!
//! **Limits.** An event that leaves the tree anywhere is none of its shapes, and must be scanned from its start. The tree is as large
//! as the text of its shapes.

use std::sync::Arc;

use super::scan::{LITERAL_MARK, Leaf, STRING_MARK};
use super::shape::Shape;
use super::tokens::Tokens;

/// Shapes by their text.
#[derive(Debug)]
pub(super) struct ShapeTree {
    /// The first is the root, whose label is empty.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// The text from the node above to this one.
    label: Box<[u8]>,
    /// Where the marks are in the label.
    marks: Box<[usize]>,
    /// The nodes below, by the first bytes of their labels.
    below: Vec<(u8, usize)>,
    shape: Option<Arc<Shape>>,
}

impl Default for ShapeTree {
    fn default() -> ShapeTree {
        ShapeTree { nodes: vec![Node::default()] }
    }
}

impl ShapeTree {
    /// The shape of an event, if the tree has it; then its leaves are appended. Otherwise some may be appended that mean nothing.
    pub(super) fn read(&self, event: &[u8], leaves: &mut Vec<Leaf>) -> Option<&Arc<Shape>> {
        let mut tokens = Tokens { text: event, at: 0 };
        let mut node = self.nodes.first()?;
        while let Some(byte) = tokens.peek() {
            node = self.nodes.get(node.branch(byte)?)?;
            node.follow(&mut tokens, leaves)?;
        }
        node.shape.as_ref()
    }

    /// Adds a shape of shredded events.
    pub(super) fn insert(&mut self, shape: &Arc<Shape>) {
        let mut rest = &*shape.text;
        let mut at = 0;
        while let Some(first) = rest.first() {
            let next = self.nodes.get(at).and_then(|node| node.below(*first));
            let Some(next) = next else {
                at = self.add(at, rest);
                break;
            };
            let shared = self.nodes.get(next).map_or(0, |node| node.label.iter().zip(rest).take_while(|(a, b)| a == b).count());
            self.split(next, shared);
            rest = rest.get(shared..).unwrap_or_default();
            at = next;
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.shape = Some(shape.clone());
        }
    }

    /// Adds a node; returns its number.
    fn add(&mut self, above: usize, label: &[u8]) -> usize {
        let number = self.nodes.len();
        self.nodes.push(Node::new(label));
        if let (Some(above), Some(first)) = (self.nodes.get_mut(above), label.first()) {
            above.below.push((*first, number));
        }
        number
    }

    /// Makes a label end after `shared` bytes; what comes then moves to a node below.
    fn split(&mut self, at: usize, shared: usize) {
        let Some(node) = self.nodes.get_mut(at) else { return };
        let Some((head, tail)) = node.label.split_at_checked(shared).filter(|(_, tail)| !tail.is_empty()) else { return };
        let (head, mut lower) = (Node::new(head), Node::new(tail));
        let upper = std::mem::replace(node, head);
        (lower.below, lower.shape) = (upper.below, upper.shape);
        let (first, number) = (lower.label.first().copied(), self.nodes.len());
        self.nodes.push(lower);
        if let Some(node) = self.nodes.get_mut(at) {
            node.below.extend(first.map(|first| (first, number)));
        }
    }
}

impl Node {
    fn new(label: &[u8]) -> Node {
        let is_mark = |byte: u8| byte == STRING_MARK || byte == LITERAL_MARK;
        let marks = label.iter().enumerate().filter(|(_, byte)| is_mark(**byte)).map(|(at, _)| at).collect();
        Node { label: label.into(), marks, ..Node::default() }
    }

    fn below(&self, first: u8) -> Option<usize> {
        self.below.iter().find(|(byte, _)| *byte == first).map(|(_, node)| *node)
    }

    /// The node below for the next byte of an event.
    fn branch(&self, byte: u8) -> Option<usize> {
        let mark = if byte == b'"' { STRING_MARK } else { LITERAL_MARK };
        self.below(byte).or_else(|| self.below(mark))
    }

    /// Reads the label, and values at its marks.
    fn follow(&self, tokens: &mut Tokens<'_>, leaves: &mut Vec<Leaf>) -> Option<()> {
        let mut from = 0;
        for mark in &self.marks {
            tokens.skip(self.label.get(from..*mark)?)?;
            let first = tokens.peek()?;
            let (start, end) = match self.label.get(*mark) {
                Some(&STRING_MARK) if first == b'"' => tokens.string().ok()?,
                Some(&LITERAL_MARK) => {
                    let start = tokens.at;
                    tokens.literal(first).ok()?;
                    (start, tokens.at)
                }
                _ => return None,
            };
            // An event is at most 1 MiB long.
            leaves.push(Leaf { start: start as u32, end: end as u32 });
            from = mark + 1;
        }
        tokens.skip(self.label.get(from..)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum::hash64;
    use crate::event::plan::TermPlan;
    use crate::event::scan::scan;
    use proptest::prelude::*;

    fn scanned(text: &str) -> Option<(Vec<u8>, Vec<Leaf>)> {
        let (mut shape, mut leaves) = (Vec::new(), Vec::new());
        scan(text.as_bytes(), &mut shape, &mut leaves).ok()?;
        Some((shape, leaves))
    }

    fn tree(texts: &[String]) -> ShapeTree {
        let mut tree = ShapeTree::default();
        for (text, _) in texts.iter().filter_map(|text| scanned(text)) {
            let hash = hash64(&text);
            tree.insert(&Arc::new(Shape { text: text.into(), hash, slots: Box::default(), plan: TermPlan::default() }));
        }
        tree
    }

    fn read(tree: &ShapeTree, text: &str) -> Option<(Vec<u8>, Vec<Leaf>)> {
        let mut leaves = Vec::new();
        let shape = tree.read(text.as_bytes(), &mut leaves)?;
        Some((shape.text.to_vec(), leaves))
    }

    fn value() -> impl Strategy<Value = String> {
        let token =
            prop::sample::select(vec!["1", "-0.5", "1e", "true", "nul", "null", "\"\"", "\"a\\n\"", "\"\\q\"", "{}", "[]", " 7", "\"x\" "]);
        let token = token.prop_map(str::to_owned);
        token.prop_recursive(3, 24, 4, |inner| {
            let key = prop::sample::select(vec!["a", "ab", "abc", "", "t", "1", "\\u0061"]);
            prop_oneof![
                prop::collection::vec((key, inner.clone()), 0..4)
                    .prop_map(|m| format!("{{{}}}", m.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect::<Vec<_>>().join(","))),
                prop::collection::vec(inner, 0..4).prop_map(|v| format!("[{}]", v.join(","))),
            ]
        })
    }

    fn event() -> impl Strategy<Value = String> {
        (value(), value(), any::<bool>())
            .prop_map(|(a, b, one)| if one { format!("{{\"a\":{a}}}") } else { format!("{{\"a\":{a},\"ab\":{b}}}") })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// What the tree reads is what a scan says, and what it has it finds.
        #[test]
        fn agrees_with_the_scan(known in prop::collection::vec(event(), 0..30), asked in prop::collection::vec(event(), 0..30)) {
            let tree = tree(&known);
            for text in &known {
                prop_assert_eq!(read(&tree, text), scanned(text), "{}", text);
            }
            for text in &asked {
                if let Some(found) = read(&tree, text) {
                    prop_assert_eq!(Some(found), scanned(text), "{}", text);
                }
            }
        }
    }

    #[test]
    fn other_values_are_read_along_a_known_shape() {
        let tree = tree(&["{\"a\":\"x\",\"n\":1}".to_owned(), "{\"a\":\"x\",\"nn\":[true]}".to_owned()]);
        let (shape, leaves) = read(&tree, "{\"a\":\"long\\u00e9\",\"n\":-1.5e3}").unwrap();
        assert_eq!((shape.as_slice(), leaves.len()), (b"{\"a\":\0,\"n\":\x01}".as_slice(), 2));
        assert!(read(&tree, "{\"a\":\"x\",\"nn\":[null]}").is_some());
        let refused = [
            "{\"a\":1,\"n\":1}",
            "{\"a\":\"x\",\"n\":01}",
            "{\"a\":\"x\",\"n\":1} ",
            "{\"a\":\"x\",\"n\":1",
            "{\"a\":\"\\q\",\"n\":1}",
            "",
        ];
        assert!(refused.iter().all(|text| read(&tree, text).is_none()));
    }
}
