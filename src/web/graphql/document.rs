//! What a document may ask for, counted before it is validated. The library bounds depth and complexity, but follows fragments to
//! find them out, counts no aliases, and reads values that nest without end until its stack is used up (SEC-B6, D5).

use async_graphql::Positioned;
use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};

/// How much one document may ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Opening ones, wherever they stand: nothing nests deeper than there are.
    pub(super) brackets: usize,
    pub(super) fields: usize,
    pub(super) aliases: usize,
    /// Fragments that spread others multiply.
    pub(super) spreads: usize,
    pub(super) depth: usize,
    pub(super) complexity: usize,
    pub(super) directives: usize,
    /// Whether the schema itself may be asked for.
    pub(super) introspection: bool,
}

/// What the schema has a use for, with room to spare. One login costs as much as ten fields, so at most four go into a document.
pub(super) const USUAL: Most = Most {
    brackets: 100,
    fields: 60,
    aliases: 5,
    spreads: 10,
    depth: 5,
    complexity: 50,
    directives: 10,
    introspection: false,
};
/// What introspection asks for.
pub(super) const DEV: Most = Most {
    brackets: 100,
    fields: 300,
    aliases: 5,
    spreads: 20,
    depth: 20,
    complexity: 2000,
    directives: 10,
    introspection: true,
};

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    fields: usize,
    aliases: usize,
    spreads: usize,
    directives: usize,
    introspection: usize,
}

/// Before it is parsed.
///
/// # Errors
/// As [`judge`].
pub(super) fn judge_text(text: &str, most: Most) -> Result<(), String> {
    let brackets = text.bytes().filter(|byte| matches!(byte, b'{' | b'[' | b'(')).count();
    if brackets > most.brackets { Err(too_many(most.brackets, "brackets")) } else { Ok(()) }
}

/// # Errors
/// What there is too much of, and how much there may be.
pub(super) fn judge(document: &ExecutableDocument, most: Most) -> Result<(), String> {
    let mut counted = Counted::default();
    for (_, operation) in document.operations.iter() {
        counted.directives += operation.node.directives.len();
        counted.add(&operation.node.selection_set);
    }
    for fragment in document.fragments.values() {
        counted.directives += fragment.node.directives.len();
        counted.add(&fragment.node.selection_set);
    }
    if counted.introspection > 0 && !most.introspection {
        return Err("The schema can be asked for with --dev only; it is documented.".to_owned());
    }
    let pairs = [
        (counted.fields, most.fields, "fields"),
        (counted.aliases, most.aliases, "aliases"),
        (counted.spreads, most.spreads, "fragments"),
        (counted.directives, most.directives, "directives"),
    ];
    match pairs.iter().find(|(there_are, most, _)| there_are > most) {
        Some((_, most, what)) => Err(too_many(*most, what)),
        None => Ok(()),
    }
}

fn too_many(most: usize, what: &str) -> String {
    format!("A document may have at most {most} {what}.")
}

/// Whether all that the document would do is to read.
pub(super) fn only_reads(document: &ExecutableDocument) -> bool {
    document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query)
}

impl Counted {
    /// The parser lets selections nest 64 deep at the most.
    fn add(&mut self, selections: &Positioned<SelectionSet>) {
        for selection in &selections.node.items {
            match &selection.node {
                Selection::Field(field) => {
                    self.fields += 1;
                    self.aliases += usize::from(field.node.alias.is_some());
                    self.introspection += usize::from(matches!(field.node.name.node.as_str(), "__schema" | "__type"));
                    self.directives += field.node.directives.len();
                    self.add(&field.node.selection_set);
                }
                Selection::FragmentSpread(spread) => {
                    self.spreads += 1;
                    self.directives += spread.node.directives.len();
                }
                Selection::InlineFragment(inline) => {
                    self.spreads += 1;
                    self.directives += inline.node.directives.len();
                    self.add(&inline.node.selection_set);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn judged(text: &str) -> Result<(), String> {
        judge(&parse_query(text).expect("a document"), USUAL)
    }

    // SEC-B6
    #[test]
    fn everything_in_a_document_is_counted_wherever_it_stands() {
        assert_eq!(judged("{me{id email confirmed createdAt updatedAt}}"), Ok(()));
        let aliases =
            "{a:me{id} b:me{...X}} fragment X on User{c:id d:id ...Y} fragment Y on User{e:id ...on User{f:id}}";
        assert!(judged(aliases).expect_err("six").contains("5 aliases"));
        let spreads = format!("{{me{{{}}}}}", "...{id}".repeat(11));
        assert!(judged(&spreads).expect_err("eleven").contains("10 fragments"));
        assert!(judged(&format!("{{{}}}", "me{id}".repeat(31))).expect_err("many").contains("60 fields"));
        assert!(judged(&format!("{{me{}{{id}}}}", " @x".repeat(11))).expect_err("many").contains("10 directives"));
    }

    /// What the library makes of lists that nest takes its stack: it must not take more of it than any thread has.
    // SEC-D5
    #[test]
    fn what_nests_as_deep_as_it_may_is_read_on_a_small_stack() {
        let nested = |open: &str, close: &str| {
            let levels = (USUAL.brackets - 2) / open.matches(['{', '[', '(']).count();
            (open.repeat(levels), close.repeat(levels))
        };
        let (lists, lists_end) = nested("[", "]");
        let (objects, objects_end) = nested("{x:", "}");
        let (fields, fields_end) = nested("a(x:[]){", "}");
        for text in [
            format!("{{a(x:{lists}{lists_end})}}"),
            format!("{{a(x:{objects}1{objects_end})}}"),
            format!("query($x:{lists}Int{lists_end}){{a}}"),
            format!("{{{fields}a{fields_end}}}"),
        ] {
            assert_eq!(judge_text(&text, USUAL), Ok(()), "{text}");
            assert!(judge_text(&format!("{text} query B{{b(x:{{}}[]{{}})}}"), USUAL).is_err());
            let small = std::thread::Builder::new().stack_size(1 << 20);
            let read = small.spawn(move || drop(parse_query(&text).expect("a document"))).expect("a thread");
            read.join().expect("read");
        }
    }

    #[test]
    fn a_document_with_a_mutation_anywhere_does_more_than_read() {
        let reads = |text| only_reads(&parse_query(text).expect("a document"));
        assert!(reads("query A{me{id}} query B{me{id}}"));
        assert!(!reads("query A{me{id}} mutation B{logout}"));
    }
}
