//! [`Pieces`]: an input cut into what should be its events, in the form that its first value tells.

use std::io::{self, Read};

use super::form::{Form, tell};
use super::lines::Lines;
use super::piece::{Piece, Place};
use super::splitter::Splitter;
use super::window::Window;

/// Reads an input piece by piece.
#[derive(Debug)]
pub enum Pieces<R> {
    /// One event a line.
    Lines(Lines<R>),
    /// JSON documents.
    Documents(Splitter<R>),
}

impl<R: Read> Pieces<R> {
    /// Looks at the start of an input; events of more than `event_bytes_max` bytes will be passed over.
    ///
    /// # Errors
    /// What the input returns.
    pub fn of(input: R, event_bytes_max: usize) -> io::Result<Pieces<R>> {
        let mut window = Window::new(input, event_bytes_max);
        Ok(match tell(&mut window)? {
            Form::Lines => Pieces::Lines(Lines::new(window, event_bytes_max)),
            Form::Documents => Pieces::Documents(Splitter::new(window, event_bytes_max)),
        })
    }

    /// Where reading has come to.
    pub fn place(&self) -> Place {
        match self {
            Pieces::Lines(lines) => lines.window().place(),
            Pieces::Documents(documents) => documents.window().place(),
        }
    }

    /// The next piece; `None` at the end of the input.
    ///
    /// # Errors
    /// What the input returns; what was read before has been given out.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        match self {
            Pieces::Lines(lines) => lines.next_piece(),
            Pieces::Documents(documents) => documents.next_piece(),
        }
    }
}
