//! What a person sees: [`output`] writes answers, [`table`] and [`text`] keep them within the terminal and hostile text off it,
//! [`progress`] draws the bar, [`interrupt`] notices Ctrl-C.

pub mod interrupt;
pub mod output;
pub mod progress;
pub mod table;
pub mod text;
