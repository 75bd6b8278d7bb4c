//! [`Ways`]: what a bucket is spoken to with, as the file of its kind makes it, and [`Proof`], how it is known that an object came as it was sent.

use opendal::Operator;

use crate::trails::sink::object::remote::asked::Asked;
use crate::trails::sink::object::remote::blame::Words;

/// How it is known that an object came as it was sent, without reading it back. Where neither holds, it is read back.
#[derive(Debug, Clone)]
pub enum Proof {
    /// The store refuses a body that has another MD5 than the header that came with it. Not every server that speaks S3 does: that is tried, over an operator that
    /// changes bodies on their way.
    Refuses(Operator),
    /// The store says the MD5 of what it holds, of its own making: no request tells it one.
    Says,
}

/// What a bucket is spoken to with.
#[derive(Debug, Clone)]
pub struct Ways {
    /// What reaches it.
    pub operator: Operator,
    /// How it is known that an object came as it was sent.
    pub proof: Proof,
    /// How long the place asked to be left alone.
    pub asked: Asked,
    /// What it is called.
    pub words: Words,
}
