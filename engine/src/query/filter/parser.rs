//! Reads the query language.
//!
//! ```text
//! any    = all { "OR" all }                          all   = unary { ["AND"] unary }
//! unary  = { "NOT" | "-" } first                     first = "(" any ")" | name ":" value | name ":" "(" any of values ")" | text
//! ```
//! The recursion is bounded by [`QUERY_DEPTH_MAX`], the comparisons by [`QUERY_TERMS_MAX`], the text by [`QUERY_BYTES_MAX`].

use crate::error::{Error, Result};
use crate::event::schema::Dimension;
use crate::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX, REGEX_BYTES_MAX};
use crate::query::filter::field::read_field;
use crate::query::filter::lexer::Scanner;
use crate::query::filter::tree::{Comparison, Field, Filter, Test};
use crate::query::filter::value::read_test;

/// The most regular expressions in a query: each may compile to a mebibyte.
const QUERY_REGEXES_MAX: usize = 32;

impl Filter {
    /// Reads a filter. Empty text is every event. At most [`QUERY_BYTES_MAX`] bytes; the printed form of a filter with value groups can be
    /// longer than its text, because it repeats the field.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] with the byte of the text that is wrong.
    pub fn parse(text: &str, dimensions: &[Dimension]) -> Result<Filter> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(Error::invalid("the query is too long").expected(format!("at most {QUERY_BYTES_MAX} bytes"), text.len()));
        }
        if text.trim().is_empty() {
            return Ok(Filter::All);
        }
        let mut parser = Parser { scanner: Scanner::new(text), dimensions, depth: 0, terms: 0, regexes: 0 };
        let filter = parser.any(None)?;
        match parser.scanner.peek() {
            None => Ok(filter),
            Some(_) => parser.scanner.wrong("this parenthesis was never opened"),
        }
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    dimensions: &'a [Dimension],
    depth: usize,
    terms: usize,
    regexes: usize,
}

impl Parser<'_> {
    /// Alternatives; inside `field:( )` all of them are values of the field.
    fn any(&mut self, field: Option<&Field>) -> Result<Filter> {
        let mut alternatives = vec![self.all(field)?];
        while self.scanner.eat_keyword("OR") {
            alternatives.push(self.all(field)?);
        }
        Ok(Filter::any_of(alternatives))
    }

    /// Conditions side by side, up to an `OR`, a closing parenthesis or the end; with no white space left before it.
    fn all(&mut self, field: Option<&Field>) -> Result<Filter> {
        let mut all = Vec::new();
        loop {
            self.scanner.skip_space();
            let after_and = !all.is_empty() && self.scanner.eat_keyword("AND");
            self.scanner.skip_space();
            let ends = matches!(self.scanner.peek(), None | Some(')')) || self.scanner.at_keyword("OR");
            if ends && !after_and && !all.is_empty() {
                return Ok(Filter::all_of(all));
            }
            if ends || self.scanner.at_keyword("AND") {
                return self.scanner.wrong("expected a comparison or a text here; put the word AND or OR into quotes to search for it");
            }
            all.push(self.unary(field)?);
        }
    }

    fn unary(&mut self, field: Option<&Field>) -> Result<Filter> {
        let mut negated = false;
        loop {
            if self.scanner.eat_keyword("NOT") {
                self.scanner.skip_space();
            } else if !self.scanner.eat("-") {
                let filter = self.first(field)?;
                return Ok(if negated { Filter::negate(filter) } else { filter });
            }
            negated = !negated;
            if self.scanner.at_boundary() || self.scanner.at_keyword("OR") || self.scanner.at_keyword("AND") {
                return self.scanner.wrong("expected something to negate; put a text that starts with `-` into quotes");
            }
        }
    }

    fn first(&mut self, field: Option<&Field>) -> Result<Filter> {
        if self.scanner.peek() == Some('(') {
            return self.group(field);
        }
        if let Some(field) = field {
            return self.comparison(field.clone());
        }
        if self.scanner.peek() == Some(':') {
            return self.scanner.wrong("there is no field before `:`; write field:value without spaces, or put the text into quotes");
        }
        let Some((name, at)) = self.scanner.name() else {
            return self.text();
        };
        let field = read_field(name, at, self.dimensions)?;
        if self.scanner.peek() == Some('(') { self.group(Some(&field)) } else { self.comparison(field) }
    }

    fn group(&mut self, field: Option<&Field>) -> Result<Filter> {
        let opened = self.scanner.at();
        self.depth += 1;
        if self.depth > QUERY_DEPTH_MAX {
            return self.scanner.wrong(format!("parentheses are nested deeper than {QUERY_DEPTH_MAX}"));
        }
        self.scanner.eat("(");
        let filter = self.any(field)?;
        if !self.scanner.eat(")") {
            return Err(Error::invalid("this parenthesis is not closed").at(opened));
        }
        self.depth -= 1;
        Ok(filter)
    }

    fn comparison(&mut self, field: Field) -> Result<Filter> {
        self.count_term()?;
        let at = self.scanner.at();
        if matches!(self.scanner.rest().trim_start_matches('~').chars().next(), Some('/')) {
            self.regexes += 1;
            if self.regexes > QUERY_REGEXES_MAX {
                return Err(Error::invalid(format!("the query has more than {QUERY_REGEXES_MAX} regular expressions")).at(at));
            }
        }
        let test = read_test(&mut self.scanner, &field)?;
        let always = matches!((&field, &test), (Field::EventTime | Field::ReceivedAt | Field::Sequence, Test::Exists));
        Ok(if always { Filter::All } else { Filter::Compare(Comparison { field, test }) })
    }

    /// A bare word or a phrase in quotes.
    fn text(&mut self) -> Result<Filter> {
        self.count_term()?;
        let at = self.scanner.at();
        let phrase = self.scanner.peek() == Some('"');
        let scalar = if phrase { self.scanner.quoted()? } else { self.scanner.word(&[])? };
        if !self.scanner.at_boundary() {
            return self.scanner.wrong("the text goes on after its end; put a space here, or all of it into quotes");
        }
        if !phrase && scalar.is_star() {
            return Ok(Filter::All);
        }
        // A text is found anywhere: stars at its ends say nothing new.
        let inner =
            if phrase { scalar.text() } else { scalar.pieces.iter().filter(|p| !p.is_empty()).cloned().collect::<Vec<_>>().join("*") };
        if !phrase && scalar.pieces.iter().filter(|p| !p.is_empty()).count() > 1 {
            return Err(Error::invalid("`*` works in the value of a field, not inside a text; write two texts, or `\\*` for a star").at(at));
        }
        if inner.is_empty() {
            return Err(Error::invalid("the text to search for is empty").at(at));
        }
        if inner.len() > REGEX_BYTES_MAX {
            return Err(Error::invalid("the text is too long").at(at).expected(format!("at most {REGEX_BYTES_MAX} bytes"), inner.len()));
        }
        Ok(Filter::Text(inner))
    }

    fn count_term(&mut self) -> Result<()> {
        self.terms += 1;
        if self.terms > QUERY_TERMS_MAX {
            return self.scanner.wrong(format!("the query has more than {QUERY_TERMS_MAX} comparisons"));
        }
        Ok(())
    }
}
